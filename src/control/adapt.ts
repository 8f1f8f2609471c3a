// `portico adapt CADDYFILE`: a Caddyfile of the kind that the self-hosting FAQ shows, as a configuration file; all else is refused by its line.

import { readAuthority } from '../http/target.ts';
import { ConfigError, inOrder, type Problem } from './problem.ts';
import { decodeText, readNamedFile } from './source-file.ts';
import { readEndpoint } from './values.ts';
import { writeYaml } from './yaml.ts';

/** Prints the configuration file; what differs goes to standard error. */
export function adapt(file: string): number {
  try {
    const { text, warnings } = adaptCaddyfile(readCaddyfile(file), file);
    for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
    process.stdout.write(text);
    return 0;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const lines = error.message.split('\n').map((line) => `\n  ${line}`);
    process.stderr.write(`portico: this Caddyfile cannot be adapted:${lines.join('')}\n`);
    return 1;
  }
}

function readCaddyfile(file: string): string {
  const problems: Problem[] = [];
  const content = readNamedFile({ place: 'the file', name: 'the argument', file }, problems);
  if (content === undefined) throw new ConfigError(problems);
  return decodeText(content.bytes);
}

export interface Adapted {
  readonly text: string;
  /** What Portico does in another way, each a sentence. */
  readonly warnings: readonly string[];
}

/** Throws a ConfigError with every line that it does not understand. */
export function adaptCaddyfile(text: string, file: string): Adapted {
  const problems: Problem[] = [];
  const blocks = readBlocks(text, file, problems);
  const adapter = new Adapter(file, problems);
  for (const block of blocks) adapter.block(block);
  const configuration = adapter.configuration();
  if (blocks.length === 0 && problems.length === 0)
    problems.push({ place: `${file}:1:1`, message: 'there is no site in it', hint: 'is it the file that you meant?' });
  if (problems.length > 0) throw new ConfigError(inOrder(problems));
  return { text: writeYaml(configuration), warnings: [...adapter.warnings] };
}

interface Line {
  readonly number: number;
  readonly words: readonly string[];
}

/** `addresses {`, the lines inside, `}`. */
interface Block {
  readonly addresses: readonly string[];
  readonly number: number;
  readonly lines: readonly Line[];
  /** Something in it was refused already. */
  readonly isPartial: boolean;
}

function readBlocks(text: string, file: string, problems: Problem[]): Block[] {
  const blocks: Block[] = [];
  let addresses: string[] = [];
  let open: { addresses: string[]; number: number; lines: Line[]; isPartial: boolean } | undefined;
  let depth = 0;
  const refuse = (number: number, message: string, hint: string) =>
    problems.push({ place: `${file}:${number}:1`, message, hint });
  for (const [index, line] of text.split('\n').entries()) {
    const number = index + 1;
    const written = wordsOf(line);
    if (written.some(isOpen)) {
      refuse(number, 'a quote has no end in its line', 'end it there');
      continue;
    }
    const words = written.map(unquoted);
    const last = words.at(-1);
    if (words.length === 0) continue;
    if (open !== undefined) {
      if (last === '}' && words.length === 1 && depth > 0) depth--;
      else if (last === '}' && words.length === 1) {
        if (isSite(open.addresses)) blocks.push(open);
        open = undefined;
      } else if (last === '{') {
        if (depth === 0 && isSite(open.addresses))
          refuse(number, `the block "${words.slice(0, -1).join(' ')}" inside of a site is not understood`, REST_HINT);
        open.isPartial = true;
        depth++;
      } else if (!isSite(open.addresses)) refuse(number, `"${words.join(' ')}" is not understood`, REST_HINT);
      else if (depth === 0) open.lines.push({ number, words });
      continue;
    }
    // Addresses are separated by commas, and go on in the next line behind one.
    const isOpening = last === '{';
    const given = (isOpening ? words.slice(0, -1) : words).flatMap((word) => word.split(','));
    addresses.push(...given.filter((address) => address !== ''));
    if (isOpening) {
      if (addresses.length === 0) refuse(number, 'global options are not understood', REST_HINT);
      else if (!isSite(addresses)) refuse(number, `the snippet ${addresses[0]} is not understood`, SNIPPET_HINT);
      open = { addresses, number, lines: [], isPartial: false };
      addresses = [];
    } else if (!line.trimEnd().endsWith(',')) {
      refuse(number, 'this begins no site', 'a site begins by its addresses and a brace: example.com {');
      addresses = [];
    }
  }
  if (open !== undefined) refuse(open.number, 'the block has no end', 'is a } missing?');
  return blocks;
}

/** Global options have no address, and snippets have a name in its place. */
function isSite(addresses: readonly string[]): boolean {
  return addresses.length > 0 && !addresses[0]!.startsWith('(');
}

const ISSUED_HINT =
  'name the files of its certificate; to have it issued, name any files, and write acme: in place of certificates: into the result';
const SNIPPET_HINT = 'write its lines into each site that imports it';
const REST_HINT = 'write the rest into the configuration file by hand; see config/portico.schema.json';

/** As they are written, without comments; a word in quotes is one word. */
function wordsOf(line: string): string[] {
  const words = line.match(/"(?:\\.|[^"\\])*"|`[^`]*`|[^\s"`]+|["`].*/g) ?? [];
  const comment = words.findIndex((word) => word.startsWith('#'));
  return comment === -1 ? words : words.slice(0, comment);
}

const isOpen = (word: string) => /^(?:"(?:\\.|[^"\\])*|`[^`]*)$/.test(word);

/** As Caddy reads it: a backslash stands for itself but before a double quote. */
function unquoted(word: string): string {
  if (word.startsWith('`')) return word.slice(1, -1);
  return word.startsWith('"') ? word.slice(1, -1).replace(/\\"/g, '"') : word;
}

/** `{$NAME:default}` as the configuration file writes it; a dollar of its own is doubled. */
function withVariables(text: string): string {
  return text.replace(/\{\$([A-Za-z_]\w*)(?::([^{}$]*))?\}|\$/g, (_whole, name?: string, fallback?: string) => {
    if (name === undefined) return '$$';
    return fallback === undefined ? `\${${name}}` : `\${${name}:-${fallback}}`;
  });
}

interface Route {
  readonly path: string;
  stripPrefix?: true;
  proxy?: string;
}

class Adapter {
  readonly warnings = new Set<string>();
  readonly #file: string;
  readonly #problems: Problem[];
  readonly #listeners = new Map<number, 'tls' | 'redirect'>();
  /** By both names. */
  readonly #certificates = new Map<string, { cert: string; key: string }>();
  readonly #pools = new Map<string, readonly string[]>();
  readonly #hosts = new Map<string, Route[]>();

  constructor(file: string, problems: Problem[]) {
    this.#file = file;
    this.#problems = problems;
  }

  block(block: Block): void {
    const [first] = block.lines;
    if (block.lines.length === 1 && first!.words[0] === 'redir') this.#redirects(block, first!);
    else this.#site(block);
  }

  configuration(): unknown {
    // As Caddy does by itself.
    if (this.#listeners.get(443) === 'tls' && !this.#listeners.has(80)) this.#listeners.set(80, 'redirect');
    const kinds = [...this.#listeners].sort(([a], [b]) => b - a);
    const name = (kind: string) => (kind === 'tls' ? 'https' : 'http');
    const count = (kind: string) => kinds.filter(([, each]) => each === kind).length;
    return {
      listeners: Object.fromEntries(
        kinds.map(([port, kind]) => [count(kind) > 1 ? `${name(kind)}-${port}` : name(kind), { kind, port }]),
      ),
      certificates: [...this.#certificates.values()],
      pools: Object.fromEntries([...this.#pools].map(([pool, endpoints]) => [pool, { endpoints }])),
      hosts: Object.fromEntries([...this.#hosts].map(([host, routes]) => [host, { routes }])),
    };
  }

  /** `:7000 { redir https://{host}{uri} }`: a listener that only redirects. */
  #redirects({ addresses, number }: Block, { number: line, words }: Line): void {
    if (!/^https:\/\/\{host\}\{uri\}$/.test(words[1] ?? '') || words.length > 3) {
      this.#refuse(
        line,
        `"${words.join(' ')}" is not understood`,
        'only redir https://{host}{uri} is; for others write a redirect route',
      );
    }
    this.warnings.add(
      'known names are redirected by 301 (308 for methods with a body), where Caddy answers 302 for any name',
    );
    for (const address of addresses) {
      const port = /^(?:http:\/\/)?:(\d{1,5})$/.exec(address)?.[1];
      if (port === undefined)
        this.#refuse(number, `"${address}" is not understood here`, 'a redirect is for a whole port, like :7000');
      else this.#listen(number, Number(port), 'redirect');
    }
  }

  #site(block: Block): void {
    const { addresses, number } = block;
    const sites = new Map<string, { host: string; path: string }>();
    for (const address of addresses) {
      const parts = /^(?:(https?):\/\/)?((?:\{\$[^{}]*\}|[^:/{}])+)(?::(\d{1,5}))?(\/[^*]*)?(\*)?$/.exec(address);
      const host = parts?.[2];
      const isName = host !== undefined && readAuthority(host.replace(/\{\$[^{}]*\}/g, 'x')) !== undefined;
      if (parts === null || !isName) {
        this.#refuse(number, `the address "${address}" is not understood`, 'like https://example.com:8000/_api/*');
        continue;
      }
      const isPlain = parts[1] === 'http';
      if (!isPlain) this.#listen(number, Number(parts[3] ?? 443), 'tls');
      else this.warnings.add('a port speaks HTTPS only: plain HTTP on it is told so, where Caddy served it');
      const path = (parts[4] ?? '').replace(/\/+$/, '');
      this.#compare(address, path);
      // Names of hosts, but not of variables, are the same in capitals.
      const name = host!.includes('{') ? withVariables(host!) : host!.toLowerCase();
      sites.set(`${name} ${path}`, { host: name, path });
    }
    const action = this.#action(block);
    for (const { host, path } of sites.values()) {
      const route: Route = {
        path: path === '' ? '/' : path,
        ...(action.strip === undefined ? {} : { stripPrefix: true }),
      };
      if (action.strip !== undefined && action.strip !== path) {
        this.#refuse(
          number,
          `/${action.strip.slice(1)} is stripped, and the address is for ${path || '/'}`,
          'let the two be the same',
        );
      }
      if (action.pool !== undefined) route.proxy = action.pool;
      const others = this.#hosts.get(host) ?? [];
      if (others.some((other) => other.path === route.path))
        this.#refuse(number, `${host}${route.path} is served by a site above already`, 'keep one of them');
      this.#hosts.set(host, [...others, route]);
    }
  }

  /** A path of ours is always for itself and all below it. */
  #compare(address: string, path: string): void {
    if (path === '' || address.endsWith('/*')) return;
    const theirs = address.endsWith('*') ? `whatever begins with ${path}` : `${path} alone`;
    this.warnings.add(`${address} is for ${path} and all below it, where Caddy takes it for ${theirs}`);
  }

  #action({ number, lines, isPartial }: Block): { pool?: string; strip?: string } {
    let pool: string | undefined;
    let strip: string | undefined;
    const says = (directive: string) => isPartial || lines.some(({ words }) => words[0] === directive);
    for (const { number: line, words } of lines) {
      const [directive, ...operands] = words;
      if (directive === 'tls' && operands.length === 2) {
        const [cert, key] = operands.map(withVariables) as [string, string];
        this.#certificates.set(`${cert}\n${key}`, { cert, key });
      } else if (
        directive === 'reverse_proxy' &&
        operands.length > 0 &&
        pool === undefined &&
        operands.every(isUpstream)
      ) {
        pool = this.#pool(operands);
      } else if (directive === 'uri' && operands[0] === 'strip_prefix' && operands.length === 2) {
        strip = `/${operands[1]!.replace(/^\/+|\/+$/g, '')}`;
      } else {
        this.#refuse(line, `"${words.join(' ')}" is not understood`, REST_HINT);
      }
    }
    if (!says('tls')) this.#refuse(number, 'the site has no tls CERTIFICATE KEY', ISSUED_HINT);
    if (!says('reverse_proxy'))
      this.#refuse(number, 'the site has no reverse_proxy', 'give it one, or write its routes by hand');
    return { ...(pool === undefined ? {} : { pool }), ...(strip === undefined ? {} : { strip }) };
  }

  /** The same endpoints are the same pool, named after the first. */
  #pool(upstreams: readonly string[]): string {
    const endpoints = upstreams.map((upstream) => {
      const url = withVariables(upstream);
      return /^https?:\/\//.test(url) ? url : `http://${url}`;
    });
    for (const [name, others] of this.#pools) if (others.join() === endpoints.join()) return name;
    const plain = upstreams[0]!
      .replace(/^https?:\/\//, '')
      .replace(/\{\$(\w+)[^{}]*\}/g, (_whole, name: string) => name.toLowerCase().replace(/_service$/, ''))
      .replace(/:\d+$/, '')
      .replace(/[^\w.-]+/g, '-');
    const name = this.#pools.has(plain) ? `${plain}-${this.#pools.size + 1}` : plain;
    this.#pools.set(name, endpoints);
    return name;
  }

  #listen(number: number, port: number, kind: 'tls' | 'redirect'): void {
    const other = this.#listeners.get(port);
    if (port < 1 || port > 65_535) {
      this.#refuse(number, `${port} is no port`, 'give one from 1 to 65535');
    } else if (other !== undefined && other !== kind) {
      this.#refuse(number, `port ${port} redirects and serves`, 'give each a port of its own');
    } else this.#listeners.set(port, kind);
  }

  #refuse(number: number, message: string, hint: string): void {
    this.#problems.push({ place: `${this.#file}:${number}:1`, message, hint });
  }
}

/** What a variable holds is not known yet. */
function isUpstream(text: string): boolean {
  return typeof readEndpoint(text.replace(/\{\$\w+(?::[^{}]*)?\}/g, 'x')) !== 'string';
}
