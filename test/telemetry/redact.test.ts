// Redaction: secrets do not reach a log by a query or a path, however they are encoded, and the rest stays readable.

import t from 'tap';
import { isSecretVariable, redactPath, redactQuery } from '../../src/telemetry/redact.ts';

t.test('what tells something and hides nothing stays byte for byte', async (t) => {
  const queries = [
    '',
    'a',
    'a=b',
    'filename=report%202.pdf&page=2',
    'q=caf%C3%A9',
    '=',
    '&&',
    'a==b',
    'time=12:30',
    'x=%zz',
    '%',
    'sort=-name',
  ];
  for (const query of [
    ...queries,
    'a=https%3A%2F%2Fa.example%2Fb%3Fc%3Dd',
    'uid=3f1b6c2e-0000-4000-8000-000000000000',
  ]) {
    t.equal(redactQuery(query), query);
  }
});

t.test('values of secret parameters are masked', async (t) => {
  const names = [
    'token',
    'access_token',
    'id_token',
    'refresh_token',
    'TOKEN',
    'code',
    'password',
    'passwd',
    'pwd',
    'state',
    'nonce',
  ];
  names.push(
    'SAMLResponse',
    'SAMLRequest',
    'RelayState',
    'client_secret',
    'api_key',
    'api-key',
    'apikey',
    'x-api-key',
    'jwt',
    'sig',
    'auth',
  );
  names.push(
    'X-Amz-Signature',
    'X-Amz-Credential',
    'X-Amz-Security-Token',
    'session',
    'sessionid',
    'PHPSESSION',
    'assertion',
    'key',
  );
  names.push(
    'username',
    'email',
    'user[password]',
    'user.token',
    'code[]',
    ' code',
    'code ',
    'authorization',
    'code_verifier',
    'otp',
    'ticket',
  );
  for (const name of names) {
    t.equal(redactQuery(`a=b&${name}=s3cr3t&c=d`), `a=b&${name}=***&c=d`, name);
    t.equal(redactQuery(`${name}=`), `${name}=***`, `${name}, empty`);
  }
});

t.test('an encoded name is the same name', async (t) => {
  for (const name of [
    '%74oken',
    'to%6Ben',
    '%74%6f%6B%65%6e',
    '+code',
    '%20code',
    'code%00',
    'user%5Bpassword%5D',
    '%2574oken',
    'tok%65n%ff',
  ]) {
    t.equal(redactQuery(`${name}=s3cr3t`), `${name}=***`, name);
  }
});

t.test('a secret inside of another value masks that value', async (t) => {
  const values = [
    'https%3A%2F%2Fa.example%2Fcb%3Ftoken%3Ds3cr3t',
    'https%253A%252F%252Fa%252F%253Fcode%253Ds3cr3t',
    '1;token=s3cr3t',
  ];
  values.push(
    '%7B%22password%22%3A%22s3cr3t%22%7D',
    '{"password": "s3cr3t"}',
    'x#access_token=s3cr3t',
    '/cb?state=s3cr3t',
    '1%26token%3Ds3cr3t',
  );
  values.push(
    '%7B%22user%22%3A%7B%22api_key%22%20%3A%20%22s3cr3t%22%7D%7D',
    'Bearer+s3cr3t',
    'Basic%20s3cr3t',
    'bearer%20s3cr3t%ff',
  );
  for (const value of values) t.equal(redactQuery(`a=${value}&b=c`), 'a=***&b=c', value);
});

t.test('what looks like a token is masked without a telling name', async (t) => {
  const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl';
  t.equal(redactQuery(`id=${jwt}`), 'id=***');
  t.equal(redactQuery(`id=${jwt.replaceAll('e', '%65')}`), 'id=***');
  t.equal(redactQuery(`id=${jwt.replaceAll('e', '%65')}%ff`), 'id=***', 'one bad escape hides nothing');
  t.equal(redactQuery(jwt), '***', 'alone');
  t.equal(redactQuery(`${jwt}=`), '***=***', 'in the place of a name');
  t.equal(redactQuery(`id=${'aB3+'.repeat(20)}`), 'id=***', 'long and random');
  t.equal(redactQuery('token%3Ds3cr3t'), '***', 'with an encoded =');
});

t.test('what is encoded without end is masked', async (t) => {
  t.equal(redactQuery(`a=%${'25'.repeat(20)}41`), 'a=***');
});

t.test('long hostile queries are read in linear time', async (t) => {
  const started = performance.now();
  for (const part of ['=', 'a=', 'a:', '%25', 'tok', '&', 'a&', '"', ' ', 'key ', '(', '-', 'eyJ', '%'])
    redactQuery(`x=${part.repeat(65_536 / part.length)}`);
  t.ok(performance.now() - started < 5_000);
});

t.test('ordinary paths stay', async (t) => {
  const paths = [
    '/',
    '*',
    '//x',
    '/_api//auth/provider/demo/acs',
    '/a;b=c',
    '/a%23b',
    '/main.0123456789abcdef.js',
    '/a@b',
    '//a@b/c:d',
    '/fetch/https://a.example/@c:d@e',
    '/login',
    '/render/x%3Fy',
  ];
  for (const path of paths) t.equal(redactPath(path), path);
});

t.test('secrets in a path are masked', async (t) => {
  t.equal(redactPath('/x;jsessionid=s3cr3t'), '/x***');
  t.equal(redactPath('/x%3Bjsessionid=s3cr3t'), '/x***');
  t.equal(redactPath('/cb#access_token=s3cr3t'), '/cb***');
  t.equal(redactPath('/embed.html%3Ftoken=s3cr3t'), '/embed.html***');
  t.equal(redactPath('/share/eyJhbGciOiJIUzI1NiJ9.e30.c2ln/view'), '/share/***/view');
  t.equal(redactPath('https://user:s3cr3t@a.example/x@y'), 'https://***@a.example/x@y');
  t.equal(redactPath('user:s3cr3t@a.example:443'), '***@a.example:443');
  t.equal(redactPath('h2c://user:s3cr3t@a.example/x'), 'h2c://***@a.example/x');
  t.equal(redactPath('git+ssh://user:s3cr3t@a.example/x'), 'git+ssh://***@a.example/x');
  t.equal(redactPath('//user:s3c@r3t@a.example/x'), '//***@a.example/x');
  t.equal(redactPath('/fetch/https://user:s3cr3t@a.example/x'), '/fetch/https://***@a.example/x');
});

t.test('variables that are called secret', async (t) => {
  for (const name of ['TOKEN', 'SMTP_PASSWORD', 'smtp_pass', 'SECRET_KEY_BASE', 'SSL_KEY', 'KEY', 'ACME_EAB_HMAC'])
    t.ok(isSecretVariable(name), name);
  for (const name of ['TENANT', 'KEYBOARD', 'MONKEY', 'ADMIN_EMAIL', 'COUNTRY_CODE', 'BYPASS', 'PASSAGE'])
    t.notOk(isSecretVariable(name), name);
});
