// Conformance: the cases of floods, held by Portico over every protocol.

import { FLOODS } from './cases/floods.ts';
import { hold } from './subjects.ts';

hold(FLOODS);
