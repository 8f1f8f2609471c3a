// PEM: text taken apart into blocks, whatever its line ends, indentation and the words around them.

import type { Problem } from './problem.ts';
import { decodeText, type NamedFile, report } from './source-file.ts';

/** One `-----BEGIN ...-----` to its END. */
export interface Block {
  readonly label: string;
  /** `block 2 (line 31)`, for messages. */
  readonly where: string;
  /** Written anew, so that CRLF, indentation and unbroken lines do not matter. */
  readonly pem: string;
  readonly encrypted: boolean;
}

/** The blocks of a file, none when it is no PEM; undefined, and a problem reported, when one of them has no end. */
export function readBlocks(bytes: Buffer, source: NamedFile, problems: Problem[]): Block[] | undefined {
  const text = decodeText(bytes);
  const blocks: Block[] = [];
  let open: { label: string; start: number; where: string } | undefined;
  let count = 0;
  let line = 1;
  let counted = 0;
  const cutOff = (where: string) => {
    report(problems, source, `has no end to its ${where}: a part of the file is missing`, 'copy the whole file again');
    return undefined;
  };
  // Markers need not stand on lines of their own: `cat a.crt b.crt` runs them together when a.crt lacks its last newline.
  for (const marker of text.matchAll(/-----(BEGIN|END) ([A-Z0-9 ]{1,40})-----/g)) {
    const label = marker[2]!;
    if (marker[1] === 'BEGIN') {
      if (open) return cutOff(open.where);
      for (; counted < marker.index; counted++) if (text.charCodeAt(counted) === 10) line++;
      open = { label, start: marker.index + marker[0].length, where: `block ${++count} (line ${line})` };
    } else if (open?.label === label) {
      blocks.push({ label, where: open.where, ...rewrite(label, text.slice(open.start, marker.index)) });
      open = undefined;
    }
  }
  return open ? cutOff(open.where) : blocks;
}

/** Fields like `DEK-Info: AES-256-CBC,...` of an encrypted key in the old form (RFC 1421) stay. */
function rewrite(label: string, body: string): Pick<Block, 'pem' | 'encrypted'> {
  const lines = body.split('\n').map((each) => each.trim());
  const fields = lines.filter((each) => each.includes(':'));
  const base64 =
    lines
      .filter((each) => !each.includes(':'))
      .join('')
      .replace(/\s+/g, '')
      .match(/.{1,64}/g) ?? [];
  const head = fields.length === 0 ? '' : `${fields.join('\n')}\n\n`;
  return {
    pem: `-----BEGIN ${label}-----\n${head}${base64.join('\n')}\n-----END ${label}-----\n`,
    encrypted: label === 'ENCRYPTED PRIVATE KEY' || fields.some((each) => /^Proc-Type:.*ENCRYPTED/.test(each)),
  };
}
