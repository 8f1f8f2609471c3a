// Identity: who the client is, is said by us, and by others only where they are trusted.

import assert from 'node:assert/strict';
import { HOST } from '../../support/door.ts';
import { type Case, EVERY, hasStatus, hasValues } from '../case.ts';
import type { Subject } from '../subjects.ts';

const CLAIMS = [
  'X-Forwarded-For',
  '6.6.6.6',
  'X-Forwarded-Proto',
  'ftp',
  'X-Forwarded-Host',
  'evil.example',
  'X-Forwarded-Port',
  '1',
  'X-Forwarded-Prefix',
  '/evil',
  'X-Real-IP',
  '6.6.6.6',
  'Forwarded',
  'for=6.6.6.6',
  'X-Request-Id',
  'mine',
  'X-Forwarded-User',
  'root',
];

export const IDENTITY: readonly Case[] = [
  {
    behaviour: 'what an untrusted client claims by X-Forwarded-* and its like is replaced',
    protocols: EVERY,
    run: async (subject) => {
      const answer = await subject.ask({ headers: CLAIMS });
      hasStatus(answer, 200);
      const { fields } = await subject.upstream.request();
      hasValues(fields, 'x-forwarded-for', ['127.0.0.1']);
      hasValues(fields, 'x-forwarded-proto', [subject.protocol === 'HTTP/1.1' ? 'http' : 'https']);
      hasValues(fields, 'x-forwarded-host', [HOST]);
      hasValues(fields, 'x-forwarded-port', ['443']);
      for (const name of ['x-forwarded-prefix', 'x-real-ip', 'forwarded', 'x-forwarded-user'])
        hasValues(fields, name, []);
      const [id] = fields.filter((_value, i) => fields[i - 1] === 'X-Request-Id');
      assert.notEqual(id, 'mine');
      hasValues(answer.headers, 'x-request-id', [id!]);
    },
  },
  {
    behaviour: 'a trusted hop is believed, from right to left and as far as hops are trusted',
    protocols: EVERY,
    setting: { trustedProxies: ['127.0.0.0/8', '10.0.0.0/8'] },
    run: async (subject) => {
      const headers = [
        'X-Forwarded-For',
        '6.6.6.6, 7.7.7.7',
        'X-Forwarded-For',
        '10.1.1.1',
        'X-Forwarded-Proto',
        'https',
        'X-Forwarded-Host',
        'public.test',
        'X-Forwarded-Port',
        '8443',
        'X-Request-Id',
        'given-1',
      ];
      const answer = await subject.ask({ headers });
      hasStatus(answer, 200);
      const { fields } = await subject.upstream.request();
      hasValues(fields, 'x-forwarded-for', ['6.6.6.6, 7.7.7.7, 10.1.1.1, 127.0.0.1']);
      hasValues(fields, 'x-forwarded-proto', ['https']);
      hasValues(fields, 'x-forwarded-host', ['public.test']);
      hasValues(fields, 'x-forwarded-port', ['8443']);
      hasValues(fields, 'x-request-id', ['given-1']);
      hasValues(answer.headers, 'x-request-id', ['given-1']);
      const line = await accessLine(subject);
      assert.equal(line.client_ip, '7.7.7.7');
      assert.equal(line.peer_ip, '127.0.0.1');
      assert.equal(line.request_id, 'given-1');
    },
  },
  {
    behaviour: 'an upstream cannot set the request id of an answer',
    protocols: EVERY,
    run: async (subject) => {
      subject.upstream.answer('HTTP/1.1 200 OK\r\nX-Request-Id: theirs\r\nContent-Length: 2\r\n\r\nok');
      const answer = await subject.ask({});
      const sent = (await subject.upstream.request()).values('x-request-id');
      assert.equal(sent.length, 1);
      hasValues(answer.headers, 'x-request-id', sent);
    },
  },
];

async function accessLine(subject: Subject): Promise<Record<string, unknown>> {
  const { lines } = subject.door!;
  await subject.until(() => lines.length > 0);
  return lines[0]!;
}
