// validate -T against made-up secrets: whatever they look like and wherever a configuration may hold them, none is printed.

import fc from 'fast-check';
import t from 'tap';
import { readEnvironment } from '../../src/control/environment.ts';
import { printConfiguration } from '../../src/control/print.ts';
import { changed, readText } from '../support/configuration-file.ts';

const SEED = 20_261_122;
const RUNS = { seed: SEED, numRuns: 300 };
t.comment(`seed ${SEED}`);

/** With what YAML, JSON, URLs and the file's own variables would have to escape. */
const secret = fc
  .array(fc.constantFrom(...'abcXYZ0189-_.~!@#%^&*()+=[]{}|;\'"<>,?/\\ $'), { minLength: 10, maxLength: 40 })
  .map((letters) => `s3${letters.join('')}3s`);
const plain = fc.stringMatching(/^[a-zA-Z0-9]{1,20}$/);
const secretWord = fc.constantFrom(
  'password',
  'token',
  'secret',
  'api_key',
  'apiKey',
  'access_token',
  'clientSecret',
  'credentials',
);
const secretKey = fc.tuple(fc.constantFrom('', 'my_', 'SMTP_'), secretWord).map(([before, word]) => before + word);

/** All the ways in which a text of YAML or JSON may hold it. */
function formsOf(text: string): string[] {
  const json = JSON.stringify(text).slice(1, -1);
  return [
    text,
    text.replaceAll('$', '$$'),
    json,
    json.replaceAll('$', '$$'),
    text.replaceAll("'", "''"),
    encodeURIComponent(text),
  ];
}

function tells(printed: string, text: string): boolean {
  // A long line may be folded.
  const joined = printed.replace(/\s*\n\s*/g, ' ');
  return formsOf(text).some((form) => printed.includes(form) || joined.includes(form));
}

t.test('the environment: parameters by name, by what they hold, and at any depth', async () => {
  const base = {
    ...{
      FRONTEND_DNS: 'toucan.example',
      FRONTEND_SERVICE: 'frontend',
      BACKEND_SERVICE: 'backend',
      REWRITE_PARAMS: 'on',
    },
    ...{ SSL_CRT: '/a.crt', SSL_KEY: '/a.key' },
  };
  fc.assert(
    fc.property(secretKey, plain, secret, (key, other, value) => {
      const { text, masked } = printConfiguration(
        readEnvironment({
          ...base,
          [`TC_PARAMS_${key}`]: value,
          [`EMBED_PARAMS_${key}`]: value,
          TC_PARAMS_PLACE: `https://user:${encodeURIComponent(value)}@host.example/`,
          TC_PARAMS_DEEP: JSON.stringify({ [other]: [{ [key]: value, list: [{ [key]: [value] }] }] }),
        }),
      );
      return masked === 5 && !tells(text, value);
    }),
    RUNS,
  );
});

t.test('a file: header rules, redirects, parameters, and whatever a file for secrets gave', async () => {
  const field = fc.constantFrom(
    'Authorization',
    'Cookie',
    'X-Api-Key',
    'Proxy-Auth-Token',
    'X-Auth',
    'X-Session-Token',
  );
  fc.assert(
    fc.property(field, secretKey, secret, (name, key, value) => {
      const quoted = JSON.stringify(value.replaceAll('$', '$$$$'));
      const target = JSON.stringify(`https://x.example/?${key}=${encodeURIComponent(value)}`);
      const routes = [
        '      - proxy: backend',
        '        parameters:',
        `          script: { ${key}: ${quoted}, deep: { ${key}: [${quoted}] } }`,
        `        request: { set: { ${name}: ${quoted} } }`,
        `      - { path: /out, redirect: { to: ${target} } }`,
        `      - { path: /said, reply: { status: 200, body: ${JSON.stringify(`a ${value} b`.replaceAll('$', '$$$$'))} } }`,
      ];
      const configuration = readText(changed('- proxy:', routes.join('\n')));
      const { text } = printConfiguration({ ...configuration, secrets: [value] });
      return !tells(text, value);
    }),
    RUNS,
  );
});
