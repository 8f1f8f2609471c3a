// Conformance: the cases of upgrades, held by Portico over every protocol.

import { UPGRADES } from './cases/upgrades.ts';
import { hold } from './subjects.ts';

hold(UPGRADES);
