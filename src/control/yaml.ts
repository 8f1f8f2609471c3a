// YAML to a tree of plain nodes with places, read strictly, and plain values back to YAML.

import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type ParsedNode,
  parseAllDocuments,
  stringify,
  visit,
  type YAMLError,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import type { Problem } from './problem.ts';

/** A place in the text, both from 1. */
export interface Spot {
  readonly line: number;
  readonly column: number;
}

export type Node = TextNode | EmptyNode | ListNode | MapNode;

/** A scalar, as text: what it means is decided by whoever expects it. */
export interface TextNode extends Spot {
  readonly kind: 'text';
  readonly text: string;
  /** In quotes or a block: certainly meant as text. */
  readonly quoted: boolean;
  /** It held a variable. */
  readonly expanded?: true;
  /** A variable in it has no value, which was told. */
  readonly isLacking?: true;
}

export interface EmptyNode extends Spot {
  readonly kind: 'empty';
}

export interface ListNode extends Spot {
  readonly kind: 'list';
  readonly items: readonly Node[];
}

export interface MapNode extends Spot {
  readonly kind: 'map';
  readonly entries: readonly Entry[];
}

export interface Entry {
  readonly key: TextNode;
  readonly value: Node;
}

/** Settings of hundreds of sites are far below. */
const MAX_BYTES = 1024 * 1024;
const MAX_DEPTH = 32;

/**
 * Reads the one document of a file. Problems are added to; undefined when there is nothing to go on with. `salvages`: what can be
 * made out of a text that is no valid YAML is enough to go on with.
 */
export function readYaml(bytes: Uint8Array, file: string, problems: Problem[], salvages = false): Node | undefined {
  const text = decode(bytes, file, problems);
  if (text === undefined) return undefined;
  const lines = new LineCounter();
  try {
    const documents: readonly Document.Parsed[] = parseAllDocuments(text, {
      lineCounter: lines,
      version: '1.2',
      schema: 'failsafe',
      merge: false,
      uniqueKeys: false,
      strict: true,
      prettyErrors: false,
    });
    const [document, second] = documents;
    const errors = documents.flatMap((each) => each.errors);
    const brackets = errors.length === 0 ? NO_BRACKETS : openBrackets(documents);
    let lastLine = 0;
    for (const error of errors) {
      const { line } = lines.linePos(error.pos[0]);
      // What follows in a line follows from its first error.
      if (line === lastLine) continue;
      lastLine = line;
      const { offset, ...words } = explainError(error, text, brackets);
      const spot = lines.linePos(offset);
      problems.push({ place: `${file}:${spot.line}:${spot.col}`, ...words });
    }
    if (errors.length > 0 && !salvages) return undefined;
    if (document?.contents == null) {
      problems.push({ place: `${file}:1:1`, message: 'the file holds no settings', hint: 'see config/ for examples' });
      return undefined;
    }
    const reader = new TreeReader(lines, file, problems);
    if (second !== undefined) reader.refuse(second.range[0], 'a second document begins', 'keep to one, without ---');
    return reader.read(document.contents, 0);
  } catch (error) {
    // The parser descends by recursion.
    if (!(error instanceof RangeError)) throw error;
    problems.push({ place: `${file}:1:1`, ...TOO_DEEP });
    return undefined;
  }
}

/** Plain values as YAML that readYaml reads back to the same: texts that could be taken for something else are quoted. */
export function writeYaml(value: unknown): string {
  return stringify(value, { version: '1.2', schema: 'core', lineWidth: 0, aliasDuplicateObjects: false });
}

function decode(bytes: Uint8Array, file: string, problems: Problem[]): string | undefined {
  if (bytes.length > MAX_BYTES) {
    const message = `the file has ${bytes.length} bytes, more than the ${MAX_BYTES} that are read`;
    problems.push({ place: `${file}:1:1`, message, hint: 'is it the file that you meant?' });
    return undefined;
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    const control = text.search(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/);
    if (control === -1) return text;
    const place = placeIn(text.slice(0, control), file);
    problems.push({ place, message: 'there is a control character', hint: 'is it a text file?' });
  } catch {
    const place = placeIn(new TextDecoder('utf-8').decode(bytes).split('\ufffd', 1)[0]!, file);
    problems.push({ place, message: 'the text is not UTF-8 from here on', hint: 'save the file as UTF-8' });
  }
  return undefined;
}

function placeIn(before: string, file: string): string {
  const lines = before.split('\n');
  return `${file}:${lines.length}:${lines.at(-1)!.length + 1}`;
}

type Words = Pick<Problem, 'message' | 'hint'>;

/** Where to look, and what for. */
function explainError(
  { code, message, pos }: YAMLError,
  text: string,
  brackets: ReadonlyMap<number, number>,
): Words & { readonly offset: number } {
  const [offset] = pos;
  if (text.slice(offset - 1, offset + 1) === '${') return { offset, ...FLOW_WORDS };
  const bracket = /^Flow (?:sequence|map) in block/.test(message) ? brackets.get(offset) : undefined;
  if (bracket !== undefined) return { offset: bracket, ...OPEN_WORDS[text[bracket] as '[' | '{'] };
  return { offset, ...wordsFor(code, message) };
}

const NO_BRACKETS: ReadonlyMap<number, number> = new Map();

/** Where brackets end, and where the first one of those stands. One that is not closed ends where the text that is for it does. */
function openBrackets(documents: readonly Document[]): ReadonlyMap<number, number> {
  const found = new Map<number, number>();
  const onCollection = (_key: unknown, { flow, range }: YAMLMap | YAMLSeq) => {
    if (flow && range && !found.has(range[1])) found.set(range[1], range[0]);
  };
  for (const document of documents) visit(document, { Collection: onCollection });
  return found;
}

/** The parser's words, without what it quotes of the text: that may be a secret. */
function wordsFor(code: string, message: string): Words {
  const known = WORDS[code];
  if (known !== undefined) return known;
  if (/call stack|regular expression/.test(message)) return TOO_DEEP;
  return { message: `this is no valid YAML: ${message.split(/[:\n]/, 1)[0]!.slice(0, 120)}`, hint: QUOTE_HINT };
}

const QUOTE_HINT = 'put texts with : # { } [ ] & * ! | > % @ ` in "quotes"';
const TOO_DEEP = { message: 'the file is nested too deeply to be read', hint: 'make it flatter' };
const OPEN_WORDS = {
  '[': { message: 'this [ is not closed', hint: 'end it with ], and indent what stands in it further than its key' },
  '{': { message: 'this { is not closed', hint: 'end it with }, and indent what stands in it further than its key' },
} as const;
const FLOW_WORDS = {
  message: 'inside of [ ] and { } a variable has to be in quotes',
  hint: 'write "${NAME}"',
};
const WORDS: Readonly<Record<string, { readonly message: string; readonly hint: string }>> = {
  TAB_AS_INDENT: { message: 'there is a tab in the indentation', hint: 'indent with spaces' },
  BAD_INDENT: { message: 'this line is indented in another way than its neighbours', hint: 'align it with them' },
  MISSING_CHAR: { message: 'a character is missing before this place', hint: 'is a quote or bracket left open?' },
  BLOCK_AS_IMPLICIT_KEY: { message: 'a key begins inside of a value', hint: QUOTE_HINT },
  MULTILINE_IMPLICIT_KEY: { message: 'a key goes over more than one line', hint: 'is a colon missing after it?' },
};

/** From the parser's nodes to ours. */
class TreeReader {
  readonly #lines: LineCounter;
  readonly #file: string;
  readonly #problems: Problem[];

  constructor(lines: LineCounter, file: string, problems: Problem[]) {
    this.#lines = lines;
    this.#file = file;
    this.#problems = problems;
  }

  refuse(offset: number, message: string, hint: string): void {
    const { line, column } = this.#spot(offset);
    this.#problems.push({ place: `${this.#file}:${line}:${column}`, message, hint });
  }

  read(node: ParsedNode | null, depth: number, after = 0): Node {
    if (node === null) return { kind: 'empty', ...this.#spot(after) };
    const spot = this.#spot(node.range[0]);
    if (depth > MAX_DEPTH) {
      this.refuse(node.range[0], `this is nested more than ${MAX_DEPTH} deep`, 'make it flatter');
      return { kind: 'empty', ...spot };
    }
    if (isAlias(node) || node.anchor !== undefined) {
      this.refuse(
        node.range[0],
        'anchors (&) and aliases (*) are not read',
        'write it out; a text that begins so belongs in "quotes"',
      );
      return { kind: 'empty', ...spot };
    }
    if (node.tag !== undefined && !/^tag:yaml\.org,2002:(?:str|map|seq)$/.test(node.tag)) {
      this.refuse(node.range[0], 'tags (!) are not read', 'leave it out; a text that begins so belongs in "quotes"');
      return { kind: 'empty', ...spot };
    }
    if (isScalar(node)) {
      const quoted = node.type !== 'PLAIN';
      const text = String(node.value ?? '');
      if (!quoted && /^(?:~|null|)$/i.test(text)) return { kind: 'empty', ...spot };
      return { kind: 'text', text, quoted, ...spot };
    }
    if (isSeq(node)) {
      const items = node.items.map((item) => this.read(item, depth + 1, node.range[0]));
      return { kind: 'list', items, ...spot };
    }
    if (!isMap(node)) throw new Error('a node of a kind that YAML does not know');
    const entries: Entry[] = [];
    for (const { key, value } of node.items) {
      const name = this.read(key, depth + 1, node.range[0]);
      const end = key === null ? node.range[0] : key.range[0];
      if (name.kind !== 'text') this.refuse(end, 'this is no key', 'write "key: value", the key as plain text');
      else entries.push({ key: name, value: this.read(value, depth + 1, end) });
    }
    return { kind: 'map', entries, ...spot };
  }

  #spot(offset: number): Spot {
    const { line, col } = this.#lines.linePos(offset);
    return { line, column: col };
  }
}
