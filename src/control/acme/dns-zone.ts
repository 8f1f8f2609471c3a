// Where a TXT record has to stand, and whether it is there: asks DNS itself, in the end the zone's own servers.

import { Resolver } from 'node:dns/promises';
import type { Clock } from './clock.ts';
import { AnswerError } from './issue.ts';
import { plain } from './transport.ts';

/** For each question, in ms; c-ares waits twice as long for the second try. */
const PATIENCE = 3_000;
const TRIES = 2;
const MOST_ALIASES = 8;
const HOST_NAME = /^(?=.{1,240}$)[a-z0-9_][a-z0-9_-]*(?:\.[a-z0-9_][a-z0-9_-]*)+$/;
const MOST_SERVERS = 16;
/** How long a zone may take until all of its servers have a record. */
const SHOWN_WITHIN = 10 * 60_000;
const FIRST_LOOK = 500;
const SLOWEST_LOOK = 10_000;

/** Where to set a record: behind all aliases. Names without the dot at the end. */
export interface Spot {
  readonly name: string;
  readonly zone: string;
}

/** Of one name server. */
type Sight = 'shown' | 'missing' | 'silent';

interface NameServer {
  readonly name: string;
  /** As Resolver.setServers takes them. */
  readonly addresses: readonly string[];
}

export class DnsZones {
  readonly #resolvers: readonly string[];
  readonly #clock: Clock;
  readonly #port: number;

  /** `resolvers`: asked in place of the system's, and of the zones' own servers. `port`: where the latter listen. */
  constructor(resolvers: readonly string[], clock: Clock, port = 53) {
    this.#resolvers = resolvers;
    this.#clock = clock;
    this.#port = port;
  }

  /** Whoever cannot have the zone changed by a program leads the name to another zone, by a CNAME. */
  async find(name: string): Promise<Spot> {
    const resolver = resolverOf(this.#resolvers);
    let spot = name;
    for (let aliases = 0; ; aliases++) {
      const [next] = await answersOf(name, resolver.resolveCname(spot));
      if (next === undefined) break;
      if (aliases === MOST_ALIASES) throw new AnswerError(`${name} leads from one CNAME to the next without end`);
      spot = next.toLowerCase().replace(/\.$/, '');
      // It goes to programs: nothing in it may be more than a name.
      if (!isRecordName(spot))
        throw new AnswerError(`${name} leads to ${plain(JSON.stringify(spot))}, which is no name`);
    }
    // Up to a single label, as inside of a company.
    for (let zone = spot; zone !== ''; zone = zone.slice(zone.indexOf('.') + 1 || zone.length)) {
      const found = await answersOf(
        name,
        resolver.resolveSoa(zone).then((soa) => [soa]),
      );
      if (found.length > 0) return { name: spot, zone };
    }
    throw new AnswerError(`no zone is found in DNS that ${spot} belongs to`);
  }

  /** Resolves when each name server that answers has the record. */
  async untilShown({ name, zone }: Spot, value: string, signal: AbortSignal): Promise<void> {
    const end = this.#clock.now() + SHOWN_WITHIN;
    const servers = await this.#serversOf(zone);
    for (let pause = FIRST_LOOK; ; pause = Math.min(SLOWEST_LOOK, pause * 2)) {
      const sights = await Promise.all(servers.map((server) => look(server, name, value)));
      if (sights.includes('shown') && !sights.includes('missing')) return;
      if (signal.aborted) throw new AnswerError('we stop');
      if (this.#clock.now() + pause > end) throw unseen(name, servers, sights);
      await this.#clock.wait(pause, signal);
    }
  }

  async #serversOf(zone: string): Promise<readonly NameServer[]> {
    if (this.#resolvers.length > 0) return this.#resolvers.map((name) => ({ name, addresses: [name] }));
    const resolver = resolverOf([]);
    const names = (await answersOf(zone, resolver.resolveNs(zone))).slice(0, MOST_SERVERS);
    const servers = await Promise.all(
      names.map(async (name) => {
        const [four, six] = await Promise.all([
          resolver.resolve4(name).catch(() => []),
          resolver.resolve6(name).catch(() => []),
        ]);
        const addresses = [...four, ...six.map((address) => `[${address}]`)].slice(0, MOST_SERVERS);
        return { name, addresses: addresses.map((address) => `${address}:${this.#port}`) };
      }),
    );
    if (servers.some(({ addresses }) => addresses.length > 0)) return servers;
    throw new AnswerError(`the name servers of ${zone} are not found in DNS`);
  }
}

export function isRecordName(name: string): boolean {
  return HOST_NAME.test(name);
}

/** A new one keeps nothing of what was answered before. */
function resolverOf(servers: readonly string[]): Resolver {
  const resolver = new Resolver({ timeout: PATIENCE, tries: TRIES });
  if (servers.length > 0) resolver.setServers(servers);
  return resolver;
}

/** Empty: there are none. */
async function answersOf<T>(name: string, asked: Promise<T[]>): Promise<T[]> {
  try {
    return await asked;
  } catch (error) {
    if (isNo(error)) return [];
    const { code } = error as NodeJS.ErrnoException;
    throw new AnswerError(
      `DNS does not say where ${name} is (${code}): can this machine ask it? ACME_DNS_RESOLVERS (dns.resolvers) names others to ask`,
    );
  }
}

/** One of its addresses may be out of reach from here, as those of IPv6 often are; none may be without the record. */
async function look({ addresses }: NameServer, name: string, value: string): Promise<Sight> {
  const sights = await Promise.all(
    addresses.map(async (address): Promise<Sight> => {
      try {
        const records = await resolverOf([address]).resolveTxt(name);
        return records.some((parts) => parts.join('') === value) ? 'shown' : 'missing';
      } catch (error) {
        return isNo(error) ? 'missing' : 'silent';
      }
    }),
  );
  return (['missing', 'shown'] as const).find((sight) => sights.includes(sight)) ?? 'silent';
}

function isNo(error: unknown): boolean {
  return ['ENODATA', 'ENOTFOUND'].includes((error as NodeJS.ErrnoException).code ?? '');
}

function unseen(name: string, servers: readonly NameServer[], sights: readonly Sight[]): AnswerError {
  const where = (sight: Sight) =>
    servers
      .filter((_, i) => sights[i] === sight)
      .map((server) => server.name)
      .join(', ');
  const minutes = SHOWN_WITHIN / 60_000;
  if (sights.includes('missing')) {
    return new AnswerError(`the TXT record of ${name} is not shown by ${where('missing')} after ${minutes} minutes`);
  }
  return new AnswerError(
    `none of the name servers answers who could show ${name} (${where('silent')}): ACME_DNS_RESOLVERS (dns.resolvers) names others to ask`,
  );
}
