// Conformance: the cases of fields, held by Portico over every protocol.

import { FIELDS } from './cases/fields.ts';
import { hold } from './subjects.ts';

hold(FIELDS);
