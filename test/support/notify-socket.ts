// Listens in the place of systemd: a datagram socket, for which Node has to borrow Python.

import { join } from 'node:path';
import type { Test } from 'tap';
import { makeFolder } from './folder.ts';
import { partPath } from './parts.ts';
import { waitFor } from './ports.ts';
import { startProcess } from './process.ts';

export interface NotifySocket {
  /** For NOTIFY_SOCKET. */
  readonly path: string;
  /** What came so far, each message as its assignments. */
  messages(): readonly (readonly string[])[];
}

const LISTENER = `
import json, socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
print(json.dumps("listening"), flush=True)
while True:
    # A descriptor that comes with a message is closed at once, which is what a barrier waits for.
    print(json.dumps(listener.recv(65536).decode()), flush=True)
`;

/** Needs the part python3. */
export async function openNotifySocket(t: Test): Promise<NotifySocket> {
  const path = join(makeFolder(t, 'notify'), 'socket');
  const listener = await startProcess(t, { command: partPath('python3'), args: ['-c', LISTENER, path] });
  const lines = () => listener.stdout().split('\n').slice(0, -1);
  await waitFor(() => lines().length > 0, 10_000, 'the socket');
  return {
    path,
    messages: () =>
      lines()
        .slice(1)
        .map((line) => (JSON.parse(line) as string).split('\n'))
        .filter(([first]) => first !== 'BARRIER=1'),
  };
}
