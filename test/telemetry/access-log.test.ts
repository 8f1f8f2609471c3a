// The access line: what it says of an exchange, what it never says, and that it is one line that fits one write.

import t from 'tap';
import { type Downstream, Exchange, NO_BODY, type Origin, type RequestHead } from '../../src/model/exchange.ts';
import { FAILURES } from '../../src/model/failure.ts';
import { LIMITS } from '../../src/model/snapshot.ts';
import { accessLine } from '../../src/telemetry/access-log.ts';
import { ORIGIN } from '../support/origin.ts';

const STARTED = Date.UTC(2030, 0, 2, 3, 4, 5, 6);
const PIPE_BUF = 4_096;

const origin: Origin = { ...ORIGIN, serverName: 'toucan.example' };

function exchange(more: Partial<RequestHead> = {}, from: Partial<Origin> = {}): Exchange {
  const head: RequestHead = {
    method: 'GET',
    target: '/_api//data?page=2&token=s3cr3t',
    authority: 'toucan.example',
    protocol: 'HTTP/1.1',
    headers: ['Host', 'toucan.example'],
    bodyLength: NO_BODY,
    upgrade: false,
    problem: undefined,
    ...more,
  };
  const made = new Exchange({ ...origin, ...from }, {} as Downstream, head, STARTED, 1_000);
  made.id = 'id-1';
  made.clientAddress = '198.51.100.7';
  made.status = 200;
  return made;
}

const parse = (line: string): Record<string, unknown> => JSON.parse(line);

t.test('a proxied exchange, whole', async (t) => {
  const done = exchange();
  done.route = {
    ...{ name: 'backend', path: '/_api', prefix: '/_api', action: { kind: 'proxy', pool: 'backend', base: false } },
    ...{ answers: 'json', compress: false, limits: LIMITS },
  };
  done.bytesIn = 3;
  done.bytesOut = 4_000;
  done.upstream = 'backend:80';
  done.upstreamAddress = '172.18.0.3';
  done.upstreamStatus = 200;
  done.connectTime = 0.12345;
  done.firstByteTime = 12;
  done.retries = 1;
  t.strictSame(parse(accessLine(done, 1_234.5678)), {
    time: '2030-01-02T03:04:05.240Z',
    level: 'info',
    msg: 'access',
    request_id: 'id-1',
    listener: 'https',
    route: 'backend',
    client_ip: '198.51.100.7',
    peer_ip: '10.0.0.1',
    method: 'GET',
    host: 'toucan.example',
    path: '/_api//data',
    query: 'page=2&token=***',
    protocol: 'HTTP/1.1',
    tls: 'TLSv1.3',
    status: 200,
    bytes_in: 3,
    bytes_out: 4_000,
    duration_ms: 234.57,
    upstream: 'backend:80',
    upstream_address: '172.18.0.3',
    upstream_status: 200,
    upstream_connect_ms: 0.12,
    upstream_first_byte_ms: 12,
    retries: 1,
  });
});

t.test('what there was not is left out', async (t) => {
  const done = exchange({ target: '/', authority: undefined }, { tlsVersion: undefined });
  t.strictSame(Object.keys(parse(accessLine(done, 1_000))), [
    ...[
      'time',
      'level',
      'msg',
      'request_id',
      'listener',
      'client_ip',
      'peer_ip',
      'method',
      'path',
      'protocol',
      'status',
    ],
    ...['bytes_in', 'bytes_out', 'duration_ms'],
  ]);
});

t.test('of a client certificate its fingerprint, when one was shown', async (t) => {
  const shown = {
    trust: 'a',
    certificate: ':MIIB:',
    chain: ':MIIC:',
    problem: '',
    validUntil: STARTED,
    judgedUntil: STARTED,
  };
  const lineOf = (fingerprint: string) => accessLine(exchange({}, { client: { ...shown, fingerprint } }), 1_000);
  const fingerprint = '0123456789abcdef'.repeat(4);
  t.equal(parse(lineOf(fingerprint)).client_cert_sha256, fingerprint);
  t.notMatch(lineOf(fingerprint), /MII/);
  t.notMatch(lineOf(''), /client_cert/);
});

t.test('a failure names its side, its word and its reason', async (t) => {
  const done = exchange();
  done.failure = FAILURES.refused;
  done.status = 502;
  done.detail = 'the backend (backend:80): connect ECONNREFUSED';
  const { ended_by, failure, detail } = parse(accessLine(done, 1_000));
  t.strictSame(
    { ended_by, failure, detail },
    { ended_by: 'upstream', failure: 'connection_refused', detail: done.detail },
  );
});

t.test('who closed a tunnel is told, and the trace that a request belongs to', async (t) => {
  const done = exchange();
  done.status = 101;
  done.endedBy = 'idle';
  done.traceId = '0af7651916cd43dd8448eb211c80319c';
  const { ended_by, failure, trace_id } = parse(accessLine(done, 1_000));
  t.strictSame([ended_by, failure, trace_id], ['idle', undefined, done.traceId]);
});

t.test('the time is right on both sides of a second', async (t) => {
  for (const ms of [STARTED, STARTED + 993, STARTED + 994.9, STARTED + 995, STARTED + 1, 0, 999.5]) {
    const done = new Exchange(origin, {} as Downstream, exchange().head, ms, 0);
    t.equal(parse(accessLine(done, 0)).time, new Date(ms).toISOString());
  }
});

t.test('secrets of the target do not show, wherever they are', async (t) => {
  const targets = [
    '/x?token=s3cr3t',
    '/x?a=b?token=s3cr3t',
    '/x#token=s3cr3t',
    '/x?#token=s3cr3t',
    'https://u:s3cr3t@toucan.example/x',
  ];
  for (const target of [
    ...targets,
    '/x;jsessionid=s3cr3t',
    '/x%3Ftoken%3Ds3cr3t',
    '/x?%74oken=s3cr3t',
    '/x?u=/y%3Fcode%3Ds3cr3t',
  ]) {
    t.notMatch(accessLine(exchange({ target }), 1_000), /s3cr3t/, target);
  }
  t.notMatch(
    accessLine(exchange({ authority: 'u:s3cr3t@toucan.example' }), 1_000),
    /s3cr3t/,
    'user information in Host',
  );
});

t.test('no header value shows', async (t) => {
  const headers: string[] = [];
  for (const name of [
    'Authorization',
    'Cookie',
    'Sec-WebSocket-Protocol',
    'Proxy-Authorization',
    'X-Any',
    'User-Agent',
  ])
    headers.push(name, 's3cr3t');
  t.notMatch(accessLine(exchange({ headers }), 1_000), /s3cr3t/);
});

t.test('one line of printable ASCII, whatever is in it, and nothing is lost', async (t) => {
  for (let first = 0; first < 256; first += 32) {
    const odd = Array.from({ length: 32 }, (_, i) => String.fromCharCode(first + i)).join('');
    const line = accessLine(
      exchange({ target: `/${odd}?a=${odd}`, authority: odd, method: `G${odd}\u2028\ud800` }),
      1_000,
    );
    t.match(line, /^[\x20-\x7e]+$/);
    t.equal(parse(line).method, `G${odd}\u2028\ud800`);
  }
});

t.test('values of a client are cut, and the line always fits one write to a pipe', async (t) => {
  const { path, query } = parse(accessLine(exchange({ target: `/${'p'.repeat(5_000)}?${'q~'.repeat(5_000)}` }), 1_000));
  t.equal(path, `/${'p'.repeat(1_023)}...`);
  t.equal(query, `${'q~'.repeat(512)}...`);
  for (const char of ['a', '"', '\\', '\n', '\xe9', '\x00']) {
    const text = char.repeat(60_000);
    const done = exchange({ target: `/${text}?q=${text}`, authority: text, method: text });
    done.detail = text;
    done.clientAddress = text;
    const line = accessLine(done, 1_000);
    t.ok(Buffer.byteLength(line) < PIPE_BUF, JSON.stringify(char));
    t.equal(parse(line).status, 200);
  }
});
