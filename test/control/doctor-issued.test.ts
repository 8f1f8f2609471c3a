// What the doctor says of issued certificates: there, not yet there, over, or not to be read.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { DirectoryStorage } from '../../src/control/acme/directory-storage.ts';
import { storeCertificate } from '../../src/control/acme/records.ts';
import { makePlaceholder } from '../../src/control/acme/x509.ts';
import { examineIssued } from '../../src/control/doctor-issued.ts';
import { readEnvironment } from '../../src/control/environment.ts';
import { makeFolder } from '../support/folder.ts';

t.test('each name', async (t) => {
  const folder = makeFolder(t);
  const configuration = readEnvironment({
    ...{ FRONTEND_DNS: 'a.example', FRONTEND_SERVICE: 'f', BACKEND_DNS: 'b.example', BACKEND_SERVICE: 'b' },
    ...{ ACME_EMAIL: 'it@example.com', CERTS_DIR: folder },
  });
  const storage = new DirectoryStorage(join(folder, 'acme'));
  const { chain, key } = await makePlaceholder('a.example', Date.now());
  await storeCertificate(storage, 'a.example', { directory: 'https://ca.example/dir', chain, key });
  const { diagnoses, certificates } = await examineIssued(configuration, new Date());
  t.match(diagnoses, [
    { level: 'ok', says: /^a\.example, issued by ca\.example, (?:89|90) days left$/ },
    { level: 'warn', says: 'that of b.example is not issued yet', todo: /readyz/ },
  ]);
  t.match(certificates, [{ place: 'a.example', certificate: { chain } }]);

  const later = await examineIssued(configuration, new Date(Date.now() + 91 * 86_400_000));
  t.match(later.diagnoses[0], { level: 'warn', says: 'that of a.example is over already' });
  t.strictSame(later.certificates, []);
});

t.test('a store that cannot be read', async (t) => {
  const folder = makeFolder(t);
  mkdirSync(join(folder, 'acme/certificates/a.example.json'), { recursive: true });
  const configuration = readEnvironment({
    ...{ FRONTEND_DNS: 'a.example', FRONTEND_SERVICE: 'f', BACKEND_SERVICE: 'b', ACME_EMAIL: 'a@b', CERTS_DIR: folder },
  });
  t.match((await examineIssued(configuration, new Date())).diagnoses, [
    { level: 'fail', says: /^cannot read .*a\.example/ },
  ]);
});
