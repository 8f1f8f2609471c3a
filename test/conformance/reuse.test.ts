// Conformance: the cases of reuse, held by Portico over every protocol.

import { REUSE } from './cases/reuse.ts';
import { hold } from './subjects.ts';

hold(REUSE);
