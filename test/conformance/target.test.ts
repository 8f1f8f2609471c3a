// Conformance: the cases of target, held by Portico over every protocol.

import { TARGET } from './cases/target.ts';
import { hold } from './subjects.ts';

hold(TARGET);
