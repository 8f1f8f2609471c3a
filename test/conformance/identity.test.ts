// Conformance: the cases of identity, held by Portico over every protocol.

import { IDENTITY } from './cases/identity.ts';
import { hold } from './subjects.ts';

hold(IDENTITY);
