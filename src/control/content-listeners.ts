// Listeners of a configuration file: their ports among each other, and what they need.

import type { ConfiguredListener } from './configuration.ts';
import { type Reading, settingIn, settingOf } from './content-reading.ts';
import { EVERYBODY } from './environment.ts';
import { DEFAULT_ADMIN_PORT } from './reach.ts';
import { isEverybody } from './values.ts';

export function readListeners(reading: Reading): ConfiguredListener[] {
  const { listeners, certificates, acme, admin } = reading.content;
  const found: ConfiguredListener[] = [];
  const adminPort = admin?.port?.value ?? DEFAULT_ADMIN_PORT;
  for (const [name, placed] of listeners.value) {
    if (placed === undefined) continue;
    const { kind, address, port, tls, proxyProtocol } = placed.value;
    if (tls !== undefined && kind !== 'tls') tls.at.problem('belongs to a listener of kind tls', 'leave it out');
    const other = found.find((each) => each.port === port.value && meet(each.address, address?.value));
    if (other !== undefined) {
      port.at.problem(
        `is ${port.value}, the same port as that of ${other.name}`,
        'give each listener a port of its own',
      );
    } else if (port.value === adminPort && meet(address?.value, admin?.address?.value ?? '127.0.0.1')) {
      port.at.problem(`is ${port.value}, the same port as that of admin`, 'give each listener a port of its own');
    }
    if (kind === 'tls' && certificates === undefined && acme === undefined) {
      const hint = 'add certificates: with cert and key, or acme: to have them issued';
      placed.at.problem('is a tls listener, and there is no certificate', hint);
    }
    const senders = proxyProtocol?.from;
    if (senders?.value.some(isEverybody)) reading.warn(senders.at, EVERYBODY);
    found.push({
      ...{ name, kind, address: address?.value, addressSetting: settingIn(reading.file, address?.at, name) },
      ...{ port: port.value, setting: settingOf(port.at) },
      ...{ tlsPolicy: tls?.value.policy ?? 'intermediate', strictSni: tls?.value.strictSni ?? false },
      ...(senders === undefined ? {} : { proxyProtocol: senders.value }),
    });
  }
  const isWhole = [...listeners.value.values()].every((each) => each !== undefined);
  if (isWhole && found.length > 0 && !found.some(({ kind }) => kind !== 'redirect')) {
    listeners.at.problem('nothing here serves the routes', 'add a listener of kind tls (or plain)');
  }
  return found;
}

/** True when one socket could not be bound beside the other. */
function meet(one: string | undefined, other: string | undefined): boolean {
  const isAll = (address: string | undefined) => address === undefined || address === '0.0.0.0' || address === '::';
  return one === other || isAll(one) || isAll(other);
}
