// Conformance: the cases of interim, held by Portico over every protocol.

import { INTERIM } from './cases/interim.ts';
import { hold } from './subjects.ts';

hold(INTERIM);
