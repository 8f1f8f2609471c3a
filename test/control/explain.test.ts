// portico explain: the way of a request, as the configuration says it.

import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { explanation } from '../../src/control/explain.ts';
import { readText, SMALL } from '../support/configuration-file.ts';
import { makeFolder } from '../support/folder.ts';
import { LAUNCHER } from '../support/portico.ts';

const configuration = readText(
  `${SMALL.replace(
    '      - proxy: backend\n',
    `      - path: /_api
        stripPrefix: true
        proxy: backend
        limits: { downstream: { bodyBytes: 2g } }
      - path: /old
        redirect: { to: "https://b.example{uri}", status: 302 }
  "*.w.example":
    clientAuth: { ca: /etc/ca.pem, crl: /etc/ca.crl, forward: chain }
    routes:
      - reply: { status: 204 }
`,
  )}publicPort: 8443\n`.replace(
    'listeners:\n',
    'listeners:\n  http:\n    kind: redirect\n    address: 127.0.0.1\n    port: 80\n',
  ),
);

const CLIENT =
  /^client {5}certificate required: vouched for by \/etc\/ca\.pem, unless revoked in \/etc\/ca\.crl; pools are told by Client-Cert and Client-Cert-Chain$/;

t.test('each way', async (t) => {
  const cases: [url: string, lines: RegExp[]][] = [
    [
      'https://A.example:8443/_api//x?y',
      [
        /^listener {3}https: tls, all addresses port 8000$/,
        /^host {7}a\.example$/,
        /^route {6}a\.example\/_api \(path \/_api\)$/,
        /^action {5}proxy to the pool backend: http:\/\/backend$/,
        /^upstream {3}\/x\?y with Host a\.example$/,
        /^limit {6}downstream\.bodyBytes: 2g \(of the route\)$/,
        /^limit {6}downstream\.bodyTimeout: 1m$/,
      ],
    ],
    ['a.example/old', [/https/, /host/, /route/, /^action {5}redirect 302 to https:\/\/b\.example\{uri\}$/]],
    ['https://x.w.example', [/https/, /\*\.w\.example/, CLIENT, /path \//, /^action {5}reply 204/]],
    ['https://a.example/none', [/https/, /host/, /none is for this path/, /404/]],
    ['https://none.example/', [/https/, /no site is named none\.example/, /404/]],
    [
      'http://x.w.example/q?r',
      [/http: redirect, 127\.0\.0\.1 port 80/, /host/, /301.*https:\/\/x\.w\.example:8443\/q\?r$/],
    ],
    [
      'https://a.example/_api/x#/login',
      [/https/, /host/, /\/_api\)$/, /action/, /^upstream {3}\/x with Host a\.example$/],
    ],
    [
      'https://x.w.example',
      [/https/, /host/, /client/, /route/, /action/, /^limit {6}downstream\.bodyBytes: none$/, /bodyTimeout: 1m$/],
    ],
    ['wss://a.example/_api/ws', [/https/, /host/, /\/_api\)$/]],
    ['ws://x.w.example/', [/http: redirect/, /host/, /301/]],
    ['https://a.example/_api/../x', [/^answer {5}400: the path holds a dot segment/]],
  ];
  for (const [url, lines] of cases) {
    const said = explanation(url, configuration);
    lines.forEach((line, i) => {
      t.match(said[i], line, url);
    });
  }
});

t.test('what is no URL is refused', async (t) => {
  for (const url of ['', '/', 'ftp://a.example/', 'https://', 'https://u@a.example/', 'a b']) {
    t.throws(() => explanation(url, configuration), { message: /is no URL of a site/ }, url);
  }
});

t.test('no secret is told', async (t) => {
  const folder = makeFolder(t, 'explain');
  const file = join(folder, 'portico.yaml');
  const token = join(folder, 'token');
  writeFileSync(token, 'hunter2-token\n');
  mkdirSync(join(folder, 'hunter2-token'));
  writeFileSync(join(folder, 'hunter2-token', 'index.html'), '');
  const routes = `      - path: /query
        redirect: { to: "https://b.example/?token=\${WORD}" }
      - path: /path
        redirect: { to: "https://b.example/\${TOKEN}/" }
      - path: /files
        files: { root: "${join(folder, '${TOKEN}')}" }
      - proxy: backend
`;
  writeFileSync(file, SMALL.replace('      - proxy: backend\n', routes));
  const told = (path: string) => {
    const args = [LAUNCHER, 'explain', `https://a.example${path}`, '--config', file];
    const env = { ...process.env, TOKEN_FILE: token, WORD: 'hunter2-word' };
    return spawnSync(process.execPath, args, { env, encoding: 'utf8' });
  };
  t.match(told('/query'), { status: 0, stdout: /^action {5}redirect 301 or 308 to \(secret, not shown\)$/m });
  t.match(told('/path'), { status: 0, stdout: /^action {5}redirect 301 or 308 to \(secret, not shown\)$/m });
  t.match(told('/files'), { status: 0, stdout: /^action {5}files of \S+\/\*\*\*/m });
});
