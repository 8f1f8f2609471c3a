// Uploads to the real backend: whole, byte for byte, and with the inner nginx's own refusal of what is too large.

import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { PROTOCOLS } from '../support/curl.ts';
import { makeFolder } from '../support/folder.ts';
import { sampleBytes } from '../support/recorder-answers.ts';
import { needStack, startStack } from '../support/stack.ts';

const MIB = 1024 * 1024;

for (const [shape, mode] of [
  ['gunicorn alone', 'one domain'],
  ['inner nginx', 'two domains'],
] as const) {
  t.test(`${shape}, ${mode}`, async (t) => {
    if (!needStack(t)) return;
    const folder = makeFolder(t, 'uploads');
    const { curl, api } = await startStack(t, { mode, shape });
    const url = `${api}/demo/data/sources`;
    const content = sampleBytes(20 * MIB);
    const file = join(folder, 'données 20 MB.bin');
    writeFileSync(file, content);

    for (const [protocol, flag] of PROTOCOLS) {
      t.test(`${protocol}: 20 MiB in a form`, async (t) => {
        const answer = await curl(url, flag, '-F', `file=@${file}`, '-F', 'note=été');
        t.equal(answer.status, 201, answer.stderr);
        t.same(JSON.parse(answer.text), {
          name: 'données 20 MB.bin',
          size: content.length,
          sha256: createHash('sha256').update(content).digest('hex'),
          note: 'été',
        });
      });

      t.test(`${protocol}: without waiting for 100 Continue`, async (t) => {
        const answer = await curl(url, flag, '-H', 'Expect:', '-F', `file=@${file}`);
        t.equal(answer.status, 201, answer.stderr);
        t.equal(JSON.parse(answer.text).size, content.length);
      });

      if (shape === 'inner nginx') {
        t.test(`${protocol}: over 50 MB the inner nginx says 413, and the client hears it`, async (t) => {
          const large = join(folder, 'large.bin');
          writeFileSync(large, Buffer.alloc(60 * MIB));
          for (const expect of ['Expect: 100-continue', 'Expect:']) {
            const answer = await curl(url, flag, '-H', expect, '-F', `file=@${large}`);
            t.equal(answer.status, 413, `${expect} ${answer.stderr}`);
            t.match(answer.text, '<center>nginx</center>', 'in its own words');
            t.equal(answer.header('proxy-status'), '', 'and not in ours');
          }
          const after = await curl(`${api}/`, flag);
          t.equal(after.status, 200, 'and the backend goes on');
        });
      }
    }
  });
}
