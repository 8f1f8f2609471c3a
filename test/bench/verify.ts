// Before anything is measured: every peer answers byte for byte what the origin holds.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { partPath } from '../support/parts.ts';
import { type Origin, PROXIED } from './origin.ts';
import type { RunningPeer } from './peers.ts';

export async function checkAnswers(peer: RunningPeer, origin: Origin): Promise<void> {
  const paths = [...origin.answers].flatMap(([path, sha256]) => {
    const proxied = [PROXIED + path, sha256] as const;
    return peer.files ? [proxied, [path, sha256] as const] : [proxied];
  });
  for (const [path, sha256] of paths) {
    for (const protocol of peer.http2 ? ['--http1.1', '--http2'] : ['--http1.1']) {
      const args = ['-q', '-sS', '--fail', '--noproxy', '*', '--max-time', '20', '--cacert', origin.caFile, protocol];
      const body = execFileSync(partPath('curl'), [...args, `https://localhost:${peer.port}${path}`], {
        maxBuffer: 4 << 20,
      });
      const got = createHash('sha256').update(body).digest('hex');
      if (got !== sha256)
        throw new Error(`${peer.name} answers ${path} (${protocol}) with other bytes than the origin`);
    }
  }
}
