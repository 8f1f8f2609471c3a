// One GET over TLS to a loopback port, under a name of choice.

import type { IncomingHttpHeaders } from 'node:http';
import { request } from 'node:https';

export interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The certificate's serial number. */
  readonly serial: string;
}

export function httpsGet(port: number, name: string, path: string, ca: string, signal?: AbortSignal): Promise<Got> {
  return new Promise((got, failed) => {
    const options = {
      host: '127.0.0.1',
      port,
      path,
      servername: name,
      headers: { Host: `${name}:${port}` },
      ca,
      agent: false,
      ...(signal === undefined ? {} : { signal }),
    };
    const client = request(options, (answer) => {
      const serial = (answer.socket as import('node:tls').TLSSocket).getPeerCertificate().serialNumber;
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => {
        text += chunk;
      });
      answer.on('end', () => got({ status: answer.statusCode ?? 0, headers: answer.headers, text, serial }));
      answer.on('error', failed);
    });
    client.setTimeout(20_000, () => client.destroy(new Error('no answer within 20 s')));
    client.on('error', failed);
    client.end();
  });
}
