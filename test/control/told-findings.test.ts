// What was told: called back for something new in force or to say, and not again for the same, nor for a text that counts days.

import t from 'tap';
import type { Finding } from '../../src/control/certificate-source.ts';
import { ToldFindings } from '../../src/control/told-findings.ts';

const finding = (code: string, message: string): Finding => ({ code, severity: 'warning', place: 'a.pem', message });

t.test('once for each change', async (t) => {
  const told = new ToldFindings();
  let calls = 0;
  told.tell([finding('expires', '20 days left')], true);
  told.begin(() => calls++, [finding('expires', '20 days left')]);
  told.tell([finding('expires', '19 days left')], false);
  t.equal(calls, 0, 'the same, a day later');
  told.tell([finding('expires', '19 days left')], true);
  t.equal(calls, 1, 'another certificate is in force');
  told.tell([], false);
  told.tell([], false);
  t.equal(calls, 2, 'there is nothing to say any more');
  told.tell([finding('not-used', 'its key does not fit')], false);
  told.tell([finding('not-used', 'it is cut off')], false);
  t.equal(calls, 4, 'it is not used for another reason');
  told.end();
  told.tell([], true);
  t.equal(calls, 4);
});
