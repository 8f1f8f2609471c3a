// What the doctor finds out of upstreams: whether each can be found and asked, and whether what answers is what should be there.

import { isIP } from 'node:net';
import type { Endpoint, Pool } from '../model/snapshot.ts';
import { compilePools } from './compile.ts';
import type { Configuration } from './configuration.ts';
import { type Diagnosis, fail, ok, warn } from './diagnosis.ts';
import { askPage, type Page, type World } from './doctor-probe.ts';
import type { LoadedFiles } from './materials.ts';
import { writeEndpoint } from './values.ts';

/** A path that nothing serves: who has a page for it has one for every path. */
const NOWHERE = '/portico-doctor-looks-for-nothing';

/** Asks each endpoint; its pages are for whoever compares clocks. */
export async function examineUpstreams(
  configuration: Configuration,
  { authorities }: LoadedFiles,
  world: World,
): Promise<{ diagnoses: Diagnosis[]; pages: Page[] }> {
  const pools = compilePools(configuration, authorities);
  const pages: Page[] = [];
  const all = pools.flatMap((pool) => pool.endpoints.map((endpoint) => examineEndpoint(pool, endpoint)));
  return { diagnoses: await Promise.all(all), pages };

  async function examineEndpoint(pool: Pool, endpoint: Endpoint): Promise<Diagnosis> {
    const about = `upstream ${pool.name} ${writeEndpoint(endpoint)}`;
    try {
      if (isIP(endpoint.host) === 0) await world.addressesOf(endpoint.host);
    } catch (error) {
      const todo = 'start that container, in the same network as this one; or correct the name';
      return fail(about, `its name does not resolve from here (${(error as Error).message})`, todo);
    }
    const { host, isApi } = useOf(configuration, pool);
    const [root, nowhere] = await Promise.all([
      askPage(endpoint, host, '/', world.patience),
      askPage(endpoint, host, NOWHERE, world.patience),
    ]);
    if (root instanceof Error) return unreachable(about, endpoint, root, world.patience);
    pages.push(root);
    return judgePage(about, isApi, root, nowhere);
  }
}

/** Under which name it is asked for, and whether programs ask. */
function useOf({ hosts }: Configuration, pool: Pool): { readonly host: string; readonly isApi: boolean } {
  const uses = hosts.flatMap(({ name, routes }) =>
    routes
      .filter(({ action }) => action.kind === 'proxy' && action.pool === pool.name)
      .map(({ answers }) => ({ host: pool.host ?? name.replace('*', 'doctor'), isApi: answers === 'json' })),
  );
  return uses[0] ?? { host: pool.host ?? 'localhost', isApi: false };
}

function unreachable(about: string, { tls }: Endpoint, error: NodeJS.ErrnoException, patience: number): Diagnosis {
  if (error.code === 'ECONNREFUSED') {
    return fail(about, 'refuses connections', 'start it, or wait: a backend may take minutes; or correct the port');
  }
  if (error.name === 'AbortError' || error.name === 'TimeoutError') {
    const says = `does not answer within ${patience / 1_000} s`;
    return warn(about, says, 'all its workers may be busy with slow requests: give it more; or a firewall is between');
  }
  const todo = tls
    ? 'for an authority of your own set ca in the file, or NODE_EXTRA_CA_CERTS; is it really TLS?'
    : 'is it really plain HTTP that this port speaks?';
  return fail(about, `cannot be asked (${error.message})`, todo);
}

/** A frontend that has its page for every path looks healthy under any URL: only body and type tell. */
function judgePage(about: string, isApi: boolean, root: Page, nowhere: Page | Error): Diagnosis {
  const { status, type } = root;
  const isPage = (page: Page | Error) => !(page instanceof Error) && page.status === 200 && page.type === 'text/html';
  const answers = `${status}${type === '' ? '' : ` ${type}`} at /`;
  if (status >= 500) return warn(about, `${answers}: it is in trouble`, 'look at its log');
  if (isApi && isPage(root)) {
    const what = isPage(nowhere) ? 'its page for every path, as a frontend does' : 'a page';
    return fail(about, `${answers}: ${what}, where the API should be`, 'are frontend and backend exchanged?');
  }
  if (isApi) return ok(about, `${answers}${versionIn(root)}`);
  if (type === 'application/json') {
    return warn(about, `${answers}, where pages should be`, 'are frontend and backend exchanged?');
  }
  return ok(about, isPage(root) && isPage(nowhere) ? `${answers}, its page for every path: a frontend` : answers);
}

/** Of the status that a backend tells: nothing else of it is printed. */
function versionIn({ type, body }: Page): string {
  if (type !== 'application/json') return '';
  try {
    const { version } = JSON.parse(body) as { version?: unknown };
    return typeof version === 'string' && /^[\w.+-]{1,40}$/.test(version) ? `, version ${version}` : '';
  } catch {
    return ', which is no JSON';
  }
}
