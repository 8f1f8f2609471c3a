// Conformance: the cases of early, held by Portico over every protocol.

import { EARLY } from './cases/early.ts';
import { hold } from './subjects.ts';

hold(EARLY);
