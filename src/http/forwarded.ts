// Who the client is: X-Forwarded-For, read from right to left and only as far as hops are trusted.

import { BlockList, isIP } from 'node:net';

/** Who stands behind a peer. */
export interface Chain {
  /** The address nearest to us that is not a trusted hop. */
  readonly client: string;
  /** The value to send on: what was believed of the incoming chain, and the peer. */
  readonly value: string;
}

/** Reads the incoming values (all lines, in order). From an untrusted peer only that peer counts. */
export function readChain(values: readonly string[], peer: string, isTrusted: (address: string) => boolean): Chain {
  if (values.length === 0 || !isTrusted(peer)) return { client: peer, value: peer };
  const members = values.join(',').split(',');
  let client = peer;
  let first = members.length;
  let stillTrusted = true;
  for (let i = members.length - 1; i >= 0; i--) {
    const address = addressOf(members[i]!.trim());
    // What stands left of something unreadable was vouched for by nobody.
    if (address === undefined) break;
    first = i;
    if (stillTrusted) {
      client = address;
      stillTrusted = isTrusted(address);
    }
  }
  const kept = members.slice(first).map((member) => member.trim());
  kept.push(peer);
  return { client, value: kept.join(', ') };
}

/** The address of `1.2.3.4`, `1.2.3.4:56`, `::1` or `[::1]:56`; undefined for anything else. */
function addressOf(member: string): string | undefined {
  if (isIP(member) !== 0) return plainAddress(member);
  const withPort = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::\d{1,5})?$/.exec(member);
  const address = withPort?.[1] ?? withPort?.[2];
  return address !== undefined && isIP(address) !== 0 ? plainAddress(address) : undefined;
}

/** IPv4 seen through an IPv6 socket (`::ffff:1.2.3.4`) as what it is. */
export function plainAddress(address: string): string {
  return /^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(address) ? address.slice(7) : address;
}

/** By addresses and CIDRs, checked when the configuration was read. Mostly nobody is trusted. */
export function trustOf(entries: readonly string[]): (address: string) => boolean {
  if (entries.length === 0) return () => false;
  const list = new BlockList();
  for (const entry of entries) {
    const [address, bits] = entry.split('/') as [string, string | undefined];
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return (address) => isIP(address) !== 0 && list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}
