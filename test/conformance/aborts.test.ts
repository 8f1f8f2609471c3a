// Conformance: the cases of aborts, held by Portico over every protocol.

import { ABORTS } from './cases/aborts.ts';
import { hold } from './subjects.ts';

hold(ABORTS);
