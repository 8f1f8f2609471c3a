// Conformance: the cases of framing, held by Portico over every protocol.

import { FRAMING } from './cases/framing.ts';
import { hold } from './subjects.ts';

hold(FRAMING);
