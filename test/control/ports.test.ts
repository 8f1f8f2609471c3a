// Ports that cannot be bound: each is found before anything starts, and named with the variable to change.

import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import t, { type Test } from 'tap';
import { checkPorts, portProblem } from '../../src/control/ports.ts';
import { ConfigError, type Problem } from '../../src/control/problem.ts';
import { freePort } from '../support/ports.ts';

async function takenPort(t: Test, host = '127.0.0.1'): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

type Wanted = [variable: string, address: string | undefined, port: number];

const problemsOf = (...wanted: Wanted[]): Promise<readonly Problem[]> => problemsBeside([], ...wanted);

async function problemsBeside(ours: readonly number[], ...wanted: Wanted[]): Promise<readonly Problem[]> {
  try {
    const ports = wanted.map(([name, address, port]) => ({
      ...{ setting: { place: name, name }, addressSetting: { place: `${name}'s host`, name } },
      ...{ address, port },
    }));
    await checkPorts(ports, ours);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

t.test('free ports pass, and are free afterwards', async (t) => {
  const [a, b] = [await freePort(), await freePort()];
  t.strictSame(await problemsOf(['HTTPS_PORT', '127.0.0.1', a], ['HTTP_PORT', undefined, b]), []);
  t.strictSame(await problemsOf(['HTTPS_PORT', '127.0.0.1', a], ['HTTP_PORT', undefined, b]), []);
});

t.test('taken ports are all named, with their variables', async (t) => {
  const [a, b, free] = [await takenPort(t), await takenPort(t), await freePort()];
  const problems = await problemsOf(
    ['HTTPS_PORT', '127.0.0.1', a],
    ['HTTP_PORT', '127.0.0.1', free],
    ['ADMIN_PORT', '127.0.0.1', b],
  );
  t.strictSame(problems, [
    {
      place: 'HTTPS_PORT',
      message: `127.0.0.1 port ${a} is taken by another process`,
      hint: 'stop that one, or set HTTPS_PORT to a free port',
    },
    {
      place: 'ADMIN_PORT',
      message: `127.0.0.1 port ${b} is taken by another process`,
      hint: 'stop that one, or set ADMIN_PORT to a free port',
    },
  ]);
});

t.test('a port that one address has taken is not free for all addresses', async (t) => {
  const taken = await takenPort(t, '0.0.0.0');
  t.match(await problemsOf(['HTTP_PORT', undefined, taken]), [
    { place: 'HTTP_PORT', message: `port ${taken} is taken by another process` },
  ]);
});

t.test('a port that is ours may be taken, but its address is looked at', async (t) => {
  const [ours, other] = [await takenPort(t, '0.0.0.0'), await takenPort(t)];
  t.match(
    await problemsBeside(
      [ours],
      ['A', '0.0.0.0', ours],
      ['B', '127.0.0.1', ours],
      ['C', '127.0.0.1', other],
      ['D', '192.0.2.1', ours],
    ),
    [
      { place: 'C', message: /is taken by another process/ },
      { place: "D's host", message: /this machine has no such address/ },
    ],
  );
});

t.test('this machine has no such address', async (t) => {
  // RFC 5737: for documentation, so nobody's.
  const problems = await problemsOf(['ADMIN_PORT', '192.0.2.1', await freePort()]);
  const message = '192.0.2.1: this machine has no such address';
  t.match(problems, [{ place: "ADMIN_PORT's host", message, hint: /address/ }]);
});

t.test('an address of several ports is told once, by its own setting', async (t) => {
  const addressSetting = { place: 'LISTEN_HOST', name: 'LISTEN_HOST' };
  const wanted = (name: string, port: number) => ({
    ...{ setting: { place: name, name }, port },
    ...{ addressSetting, address: '192.0.2.1' },
  });
  const ports = [wanted('HTTPS_PORT', await freePort()), wanted('HTTP_PORT', await freePort())];
  const message = /^LISTEN_HOST 192\.0\.2\.1: this machine has no such address \(give an address.*\)$/;
  await t.rejects(checkPorts(ports), { message });
});

t.test('errors in words', async (t) => {
  const setting = { place: 'HTTP_PORT', name: 'HTTP_PORT' };
  const wanted = { setting, addressSetting: setting, address: undefined, port: 80 };
  const error = (code: string) => Object.assign(new Error(`listen ${code}`), { code });
  t.strictSame(portProblem(wanted, error('EACCES')), {
    place: 'HTTP_PORT',
    message: 'port 80 needs privileges',
    hint: 'set HTTP_PORT to a port above 1023',
  });
  t.strictSame(portProblem(wanted, error('EMFILE')), {
    place: 'HTTP_PORT',
    message: 'port 80 cannot be bound: listen EMFILE',
  });
});
