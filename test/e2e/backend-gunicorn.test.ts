// The backend as its container serves it (gunicorn, alone or behind an nginx of its own), asked by curl through Portico.

import t from 'tap';
import { PROTOCOLS } from '../support/curl.ts';
import { BACKEND_NAME, FRONTEND_NAME, MODES, needStack, startStack } from '../support/stack.ts';

const TOKEN = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJqb2UifQ.c2lnbmF0dXJl';
const BEARER = ['-H', `Authorization: Bearer ${TOKEN}`];

for (const shape of ['gunicorn alone', 'inner nginx'] as const) {
  for (const mode of MODES) {
    t.test(`${shape}, ${mode}`, async (t) => {
      if (!needStack(t)) return;
      const { curl, api, prefix, site } = await startStack(t, { mode, shape });
      const host = mode === 'one domain' ? FRONTEND_NAME : BACKEND_NAME;

      for (const [protocol, flag] of PROTOCOLS) {
        const ask = (path: string, ...args: string[]) => curl(api + path, flag, ...args);

        t.test(`${protocol}: the root tells the version`, async (t) => {
          for (const path of mode === 'one domain' ? ['', '/', '//'] : ['', '/']) {
            const answer = await ask(path);
            t.equal(answer.status, 200, `${api}${path}`);
            t.equal(answer.header('content-type'), 'application/json');
            t.match(JSON.parse(answer.text), { status: 'OK', version: 'v140.0.1' });
          }
        });

        t.test(
          `${protocol}: Authorization arrives, and all that the backend needs to know of the client`,
          async (t) => {
            const fields = ['-H', 'x-json-flavor: compact', '-H', 'Cookie: a=1; b="two words"'];
            const answer = await ask('/auth/check', ...BEARER, ...fields);
            t.equal(answer.status, 200);
            const seen = JSON.parse(answer.text);
            t.match(seen, {
              authorization: `Bearer ${TOKEN}`,
              cookie: 'a=1; b="two words"',
              flavor: 'compact',
              host,
              scheme: 'https',
              request_id: answer.header('x-request-id'),
            });
            t.same(seen.forwarded, {
              'x-forwarded-for': '127.0.0.1',
              'x-forwarded-host': host,
              'x-forwarded-port': '443',
              'x-forwarded-proto': 'https',
              ...(prefix === '' ? {} : { 'x-forwarded-prefix': prefix }),
            });
            const basic = JSON.parse((await ask('/auth/check', '-u', 'joe:sécret')).text);
            t.equal(basic.authorization, `Basic ${Buffer.from('joe:sécret').toString('base64')}`);
          },
        );

        t.test(`${protocol}: the backend's own 401 is passed on as it is`, async (t) => {
          const answer = await ask('/auth/check');
          t.equal(answer.status, 401);
          t.equal(answer.header('content-type'), 'application/json');
          t.equal(JSON.parse(answer.text).error, 'no Authorization');
          t.equal(answer.header('proxy-status'), '');
        });

        t.test(`${protocol}: a slow query is waited for, and others are answered meanwhile`, async (t) => {
          const body = ['-H', 'Content-Type: application/json', '-d'];
          const slow = ask('/demo/data', ...body, '{"seconds":1}');
          const quick = await ask('/demo/data', ...body, '{"seconds":0}');
          t.equal(quick.status, 200);
          t.equal((await slow).status, 200);
          t.same(JSON.parse((await slow).text).rows, [
            [1, 'one'],
            [2, 'two'],
          ]);
        });

        t.test(`${protocol}: redirects name the public place`, async (t) => {
          const expected: Record<string, string> = {
            relative: `${prefix}/auth/check?from=relative`,
            absolute: `${api}/auth/check?from=absolute`,
            inner: `${api}/auth/check?from=inner`,
            external: `${api}/auth/check?from=external`,
          };
          for (const [kind, location] of Object.entries(expected)) {
            const answer = await ask(`/redirect/${kind}`);
            t.equal(answer.status, 302, kind);
            t.equal(answer.header('location'), location, kind);
            const followed = await ask(`/redirect/${kind}`, '-L', '--location-trusted', ...BEARER);
            t.equal(followed.status, 200, `${kind}, followed`);
            t.equal(followed.url, `${api}/auth/check?from=${kind}`);
          }
          const aware = await ask('/fixed/redirect/external');
          t.equal(aware.header('location'), `${api}/auth/check?from=external`, 'an application that knows the prefix');
        });

        t.test(`${protocol}: cookies come back to where they are from`, async (t) => {
          const answer = await ask('/cookies');
          const cookies = answer.headers.filter(([name]) => name === 'set-cookie').map(([, value]) => value);
          t.equal(cookies.length, 3);
          t.equal(cookies[0], `root=1; Path=${prefix === '' ? '/' : prefix}`);
          t.match(cookies[1], /^app="two words"; Expires=.* GMT; Max-Age=3600; Path=/);
          t.ok(cookies[1]?.endsWith(`Path=${prefix}/demo`));
          t.equal(cookies[2], 'bare=3');
          const jar = ['-c', `jar-${flag}`, '-b', `jar-${flag}`];
          await ask('/cookies', ...jar);
          const seen = JSON.parse((await ask('/cookies', ...jar)).text).seen;
          t.same(seen, { root: '1', bare: '3' });
        });

        t.test(`${protocol}: the form post of a single sign-on`, async (t) => {
          const assertion = 'PHNhbWw+'.repeat(4000);
          const fields = ['--data-urlencode', `SAMLResponse=${assertion}`, '-d', 'RelayState=/home'];
          const cross = ['-H', 'Origin: https://idp.example', '-H', 'Sec-Fetch-Site: cross-site'];
          const answer = await ask('/auth/provider/demo/acs', ...fields, ...cross);
          t.equal(answer.status, 302);
          t.equal(answer.header('location'), `${prefix}/home`);
          t.match(
            answer.header('set-cookie'),
            `sso=${assertion.length}; Secure; Path=${prefix === '' ? '/' : prefix};`,
          );
        });

        t.test(`${protocol}: a download without a length, by a quick and by a slow reader`, async (t) => {
          // gunicorn has closed its connection long before the slow reader has everything.
          for (const rate of ['100G', '6M']) {
            const answer = await ask('/download/5000000', '--limit-rate', rate);
            t.equal(answer.exit, 0, `${rate} ${answer.stderr}`);
            t.equal(answer.body.length, 5_000_000, rate);
            t.ok(
              answer.body.every((byte, i) => byte === (i & 0xff)),
              `${rate}, byte for byte`,
            );
          }
        });
      }

      if (mode === 'one domain') {
        t.test('behind the prefix any number of slashes is one', async (t) => {
          const body = ['-H', 'Content-Type: application/json', '-d', '{"password":"wrong"}'];
          for (const path of ['/login', '//login', '///login']) {
            const answer = await curl(`${api}${path}`, ...body);
            t.equal(answer.status, 401, path);
            t.match(JSON.parse(answer.text), { error: 'wrong password', address: '127.0.0.1' }, path);
          }
        });

        t.test('the frontend is beside it', async (t) => {
          t.match((await curl(`${site}/_apix`)).text, 'Frontend of a test');
          t.match((await curl(`${site}/`)).text, 'Frontend of a test');
        });
      }
    });
  }
}
