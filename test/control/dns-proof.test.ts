// What changes DNS has to be there: a program that may be executed, a key that can be read, nsupdate.

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { DnsProof } from '../../src/control/configuration.ts';
import { checkDnsProof } from '../../src/control/dns-proof.ts';
import { formatProblem, type Problem } from '../../src/control/problem.ts';
import { makeFolder } from '../support/folder.ts';

const rest = { resolvers: [], setting: { place: 'SETTING', name: 'SETTING' } };

function problemsOf(proof: DnsProof): string {
  const problems: Problem[] = [];
  t.strictSame(checkDnsProof(proof, problems), []);
  return problems.map(formatProblem).join('\n');
}

/** The PATH is that folder alone. */
function withPath(t: Test, path: string): void {
  const before = process.env.PATH;
  process.env.PATH = path;
  t.teardown(() => {
    process.env.PATH = before;
  });
}

t.test('a hook', async (t) => {
  const folder = makeFolder(t);
  const file = join(folder, 'hook');
  const of = (file: string) => problemsOf({ kind: 'hook', file, ...rest });
  t.match(of(file), /^SETTING \S+hook is no program that this user may execute \(let SETTING name a program/);
  writeFileSync(file, '#!/bin/sh\n');
  t.match(of(file), /is no program/);
  chmodSync(file, 0o755);
  t.equal(of(file), '');
  t.match(of(folder), /is no program/);
  chmodSync(file, 0o757);
  const said = checkDnsProof({ kind: 'hook', file, ...rest }, []);
  t.match(said, [
    { code: 'permissions', severity: 'warning', message: /every user .* may write it$/, hint: /^chmod o-w / },
  ]);
});

t.test('updates', async (t) => {
  const folder = makeFolder(t);
  const [keyFile, bin] = [join(folder, 'key'), join(folder, 'bin')];
  mkdirSync(bin);
  withPath(t, bin);
  const found = () => problemsOf({ kind: 'update', host: 'ns1.example', port: 53, keyFile, ...rest });
  t.match(
    found(),
    /^SETTING \S+key does not exist .*\nSETTING needs the program nsupdate, which is not on the PATH \(/,
  );
  writeFileSync(keyFile, 'key "x" { };', { mode: 0o640 });
  writeFileSync(join(bin, 'nsupdate'), '', { mode: 0o755 });
  t.equal(found(), '');
  const said = (mode: number) => {
    chmodSync(keyFile, mode);
    return checkDnsProof({ kind: 'update', host: 'ns1.example', port: 53, keyFile, ...rest }, []);
  };
  for (const mode of [0o600, 0o640, 0o400, 0o660]) t.strictSame(said(mode), []);
  t.match(said(0o644), [{ code: 'permissions', severity: 'warning', message: /may read$/, hint: /^chmod 640 / }]);
  t.match(said(0o666), [{ code: 'permissions', message: /may write$/ }]);
});
