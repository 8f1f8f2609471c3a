// The format: single values of the configuration file, and what is wrong with them.

import t from 'tap';
import { changed, problemsIn } from '../support/configuration-file.ts';

const route = (more: string) => changed('- proxy:', `      - proxy: backend\n${more}`);

t.test('single values: what is wrong with them', async (t) => {
  const cases: [text: string, place: string, message: RegExp][] = [
    [
      changed('port:', '    port: eighty'),
      '4:11 listeners.https.port:',
      /is "eighty" \(give a whole number from 1 to 65535\)/,
    ],
    [changed('port:', '    port: [1]'), '4:11 ', /is a list, where a port should be/],
    [changed('port:', '    port:'), '4:5 ', /is empty/],
    [changed('kind:', '    kind: TLS'), '3:11 ', /did you mean "tls"\?/],
    [
      changed('listeners:', 'listners:'),
      '1:1 ',
      /listners: is not known here \(did you mean "listeners"\?\)|listeners is missing/,
    ],
    [
      route('        limits: { downstream: { headBytes: 1k } }'),
      '16:33 ',
      /set limits\.downstream\.headBytes at the top/,
    ],
    [route('        limits: { drainTimeout: 1 }'), '16:19 ', /set limits\.drainTimeout at the top/],
    [route('        limits: { upstream: { idleTimeout: 25h } }'), '16:44 ', /too long/],
    [route('        request: { set: { Host: x } }'), '16:27 ', /set the host of the pool instead/],
    [route('        request: { set: { X-Forwarded-For: x } }'), '16:27 ', /see trustedProxies/],
    [route('        request: { set: { X-SSL-Client-Verify: x } }'), '16:27 ', /who the client is/],
    [changed('routes:', '    clientAuth: {}\n    routes:'), '14:17 ', /ca is missing/],
    [
      changed('routes:', '    clientAuth: { ca: a, mode: off }\n    routes:'),
      '14:32 ',
      /choose one of required, optional/,
    ],
    [
      changed('routes:', '    clientAuth: { ca: a, forward: yes }\n    routes:'),
      '14:35 ',
      /choose one of none, certificate/,
    ],
    [
      changed('kind: tls', '    kind: plain').replace('    routes:', '    clientAuth: { ca: a }\n    routes:'),
      '14:17 ',
      /needs TLS, and there is no listener of kind tls/,
    ],
    [route('        response: { remove: [transfer-encoding] }'), '16:30 ', /no rule may change/],
    [route('        response: { remove: [X-Request-Id] }'), '16:30 ', /how an answer is found in the log/],
    [route('        response: { set: { Proxy-Status: x } }'), '16:28 ', /how an answer is found in the log/],
    [route('        response: { set: { "X A": x } }'), '16:28 ', /no name of a field/],
    [route('        response: { set: { X-A: "a\\r\\nb: c" } }'), '16:33 ', /not the value of a header field/],
    [changed('- proxy:', '      - redirect: { to: "{uri}" }'), '15:25 ', /give a URL/],
    [changed('- proxy:', '      - redirect: { to: "https://{uri}" }'), '15:25 ', /give a URL/],
    [changed('- proxy:', '      - redirect: { to: "//evil.example" }'), '15:25 ', /give a URL/],
    [changed('- proxy:', '      - redirect: { to: "https://u:p@x" }'), '15:25 ', /"https:\/\/\*\*\*@x".*give a URL/],
    [changed('- proxy:', '      - redirect: { to: "https://x/{path}" }'), '15:25 ', /only \{host\} and \{uri\}/],
    [changed('- proxy:', '      - redirect: { to: https://x, status: 200 }'), '15:44 ', /choose one of 301/],
    [changed('- http://backend', '      - backend:80'), '11:9 ', /write it as a URL: http:\/\/backend:80/],
    [
      changed('- http://backend', '      - http://u:p@b'),
      '11:9 ',
      /"http:\/\/\*\*\*@b": it has a user name or password/,
    ],
    [changed('a.example:', '  "*":'), '13:3 ', /unknown names get a 404/],
    [changed('a.example:', '  "*.*.example":'), '13:3 ', /no host name/],
    [changed('a.example:', '  a.example:443:'), '13:3 ', /no host name/],
    [changed('pools:', 'trustedProxies: [10.0.0.0/33]\npools:'), '8:18 trustedProxies[0]:', /no address or network/],
    [
      changed('port: 8000', '    port: 8000\n    proxyProtocol: on'),
      '5:20 listeners.https.proxyProtocol:',
      /keys should be/,
    ],
    [changed('port: 8000', '    port: 8000\n    proxyProtocol: { from: [lb] }'), '5:29 ', /no address or network/],
    [changed('port: 8000', '    port: 8000\n    proxyProtocol: { from: [] }'), '5:28 ', /empty list/],
    [changed('- proxy:', '      - path: api\n        proxy: backend'), '15:15 ', /start it with a slash/],
    [route('        path: /api/*'), '16:15 ', /is "\/api\/\*" \(leave out the \* at its end/],
    [changed('a.example:', '  b\xfccher.example:'), '13:3 ', /no host name \(write it as xn--bcher-kva\.example\)/],
    [changed('- proxy:', '      - path: /a/../b\n        proxy: backend'), '15:15 ', /no path prefix/],
  ];
  for (const [text, place, message] of cases) {
    const found = problemsIn(text).filter((each) => message.test(each));
    t.ok(found[0]?.startsWith(`portico.yaml:${place}`), `${place} ${message}: ${problemsIn(text).join(' | ')}`);
  }
});
