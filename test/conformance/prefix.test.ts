// Conformance: the cases of prefix, held by Portico over every protocol.

import { PREFIX } from './cases/prefix.ts';
import { hold } from './subjects.ts';

hold(PREFIX);
