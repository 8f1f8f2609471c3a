// Conformance: the cases of replies, held by Portico over every protocol.

import { REPLIES } from './cases/replies.ts';
import { hold } from './subjects.ts';

hold(REPLIES);
