// Conformance: the cases of pressure, held by Portico over every protocol.

import { PRESSURE } from './cases/pressure.ts';
import { hold } from './subjects.ts';

hold(PRESSURE);
