// The forms that certificates and keys come in (PEM, DER, PKCS#12, keys with a passphrase), read to the same two lists.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { type Block, readBlocks } from './pem.ts';
import { looksLikeStore, openStore } from './pkcs12.ts';
import type { Problem } from './problem.ts';
import { decodeText, type NamedFile, readNamedFile, report } from './source-file.ts';

/** What a file holds. */
export interface Material {
  /** Without duplicates, in the order of the file. */
  readonly certificates: readonly X509Certificate[];
  readonly keys: readonly KeyObject[];
  /** What it holds, in words, for when it is not what was wanted. */
  readonly words: string;
  /** What to do when it holds neither. */
  readonly hint: string | undefined;
  /** Of the file; users of the machine other than its owner may read a key when they allow it. */
  readonly mode: number;
}

/** Where a passphrase stands; undefined: none was named, and `name` says what to set. */
export interface PasswordFile {
  readonly file: NamedFile | undefined;
  readonly name: string;
}

/** undefined: it cannot be read, and problems were reported. */
export function readMaterial(source: NamedFile, password: PasswordFile, problems: Problem[]): Material | undefined {
  const content = readNamedFile(source, problems);
  if (content === undefined) return undefined;
  const reader = new MaterialReader(source, password, problems, content.stats.mode);
  const blocks = readBlocks(content.bytes, source, problems);
  if (blocks === undefined) return undefined;
  return blocks.length > 0 ? reader.fromPem(blocks) : reader.fromBinary(content.bytes);
}

const CERTIFICATE_LABELS = ['CERTIFICATE', 'X509 CERTIFICATE', 'TRUSTED CERTIFICATE'];
const isCertificate = (block: Block) => CERTIFICATE_LABELS.includes(block.label);
const isKey = (block: Block) => block.label.endsWith('PRIVATE KEY');

const REQUEST_HINT = 'that is what a certificate authority is asked with; use the certificate that it answered with';
const HINTS: Readonly<Record<string, string>> = {
  'CERTIFICATE REQUEST': REQUEST_HINT,
  'NEW CERTIFICATE REQUEST': REQUEST_HINT,
  PKCS7: 'convert it: openssl pkcs7 -print_certs',
};

const PRIVATE_KEY_HINT = 'copy the file again; it must be an RSA or EC key in PKCS#8, PKCS#1 or SEC1 form';

class MaterialReader {
  readonly #source: NamedFile;
  readonly #password: PasswordFile;
  readonly #problems: Problem[];
  readonly #mode: number;
  /** Read once, and only when something needs it. */
  #passphrase: { readonly text: string | undefined } | undefined;

  constructor(source: NamedFile, password: PasswordFile, problems: Problem[], mode: number) {
    this.#source = source;
    this.#password = password;
    this.#problems = problems;
    this.#mode = mode;
  }

  fromPem(blocks: readonly Block[]): Material | undefined {
    const before = this.#problems.length;
    const certificates = blocks.filter(isCertificate).flatMap(({ pem, where }) => {
      return this.#certificate(pem, `has a damaged certificate in ${where}`);
    });
    const keys = blocks.filter(isKey).flatMap(({ pem, label, where, encrypted }) => {
      if (encrypted) return this.#encryptedKey((passphrase) => createPrivateKey({ key: pem, passphrase }));
      return this.#key(() => createPrivateKey(pem), `has a damaged or unknown ${label} in ${where}`);
    });
    if (this.#problems.length > before) return undefined;
    const labels = [...new Set(blocks.map(({ label }) => label))].slice(0, 3).join(', ');
    return this.#material(certificates, keys, `only ${labels}`, HINTS[blocks[0]!.label]);
  }

  fromBinary(bytes: Buffer): Material | undefined {
    // 0x30: an ASN.1 sequence, as all of them begin.
    if (bytes[0] !== 0x30) {
      const hint = 'it must be text with a line like -----BEGIN CERTIFICATE-----, or DER, or PKCS#12';
      return this.#refuse('is neither PEM, nor DER, nor PKCS#12', hint);
    }
    if (looksLikeStore(bytes)) return this.#fromStore(bytes);
    const certificate = attempt(() => new X509Certificate(bytes));
    if (certificate !== undefined) return this.#material([certificate], []);
    for (const type of ['pkcs8', 'pkcs1', 'sec1'] as const) {
      const key = attempt(() => createPrivateKey({ key: bytes, format: 'der', type }));
      if (key !== undefined) return this.#material([], [key]);
    }
    if (bytes.subarray(0, 32).includes(SIGNED_DATA)) {
      return this.#refuse('is a PKCS#7 bundle', 'convert it: openssl pkcs7 -inform der -print_certs');
    }
    // PBES1 and PBES2: 1.2.840.113549.1.5 and 1.2.840.113549.1.12.1.
    if (!bytes.subarray(0, 40).includes(PKCS5) && !bytes.subarray(0, 40).includes(PKCS12_PBE)) {
      return this.#refuse(
        'is in a binary form that is no certificate and no key, or is damaged',
        'copy the file again',
      );
    }
    const keys = this.#encryptedKey((passphrase) => {
      return createPrivateKey({ key: bytes, format: 'der', type: 'pkcs8', passphrase });
    });
    return keys.length === 0 ? undefined : this.#material([], keys);
  }

  #fromStore(bytes: Buffer): Material | undefined {
    const opened = openStore(bytes, this.#password.file === undefined ? undefined : this.#readPassphrase());
    if (this.#passphrase !== undefined && this.#passphrase.text === undefined) return undefined;
    if (opened === 'damaged') return this.#refuse('is a damaged PKCS#12 store', 'copy the file again');
    if (opened === 'password') return this.#refusePassword('is a PKCS#12 store', 'it has to be exported anew');
    if ('unsupported' in opened) {
      const hint = 'have it exported with AES-256 and SHA-256';
      return this.#refuse(`is a PKCS#12 store with ${opened.unsupported}, which is not read here`, hint);
    }
    const before = this.#problems.length;
    const certificates = opened.certificates.flatMap((der) => {
      return this.#certificate(der, 'holds a damaged certificate');
    });
    const keys = opened.keys.flatMap((der) => {
      const read = () => createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' });
      return this.#key(read, 'holds a damaged or unknown private key');
    });
    return this.#problems.length > before ? undefined : this.#material(certificates, keys, 'an empty PKCS#12 store');
  }

  #material(
    certificates: readonly X509Certificate[],
    keys: readonly KeyObject[],
    other = 'nothing',
    hint?: string,
  ): Material {
    const found = new Map(certificates.map((each) => [each.fingerprint256, each]));
    const words = certificates.length > 0 ? 'a certificate' : keys.length > 0 ? 'a private key' : other;
    return { certificates: [...found.values()], keys, words, hint, mode: this.#mode };
  }

  #certificate(from: string | Uint8Array, damaged: string): X509Certificate[] {
    const certificate = attempt(() => new X509Certificate(from));
    if (certificate !== undefined) return [certificate];
    report(this.#problems, this.#source, damaged, 'copy the file again');
    return [];
  }

  /** The library's own words are not repeated: nothing that it read from a key may reach a log. */
  #key(read: () => KeyObject, damaged: string): KeyObject[] {
    const key = attempt(read);
    if (key !== undefined) return [key];
    report(this.#problems, this.#source, damaged, PRIVATE_KEY_HINT);
    return [];
  }

  #encryptedKey(read: (passphrase: string) => KeyObject): KeyObject[] {
    const passphrase = this.#password.file === undefined ? undefined : this.#readPassphrase();
    if (this.#passphrase !== undefined && passphrase === undefined) return [];
    const key = passphrase === undefined ? undefined : attempt(() => read(passphrase));
    if (key !== undefined) return [key];
    this.#refusePassword('holds an encrypted key', 'encrypt it anew: openssl pkcs8 -topk8 -v2 aes-256-cbc');
    return [];
  }

  #readPassphrase(): string | undefined {
    if (this.#passphrase === undefined) {
      const content = readNamedFile(this.#password.file!, this.#problems);
      const text = content === undefined ? undefined : decodeText(content.bytes);
      this.#passphrase = { text: text?.replace(/\r?\n$/, '') };
    }
    return this.#passphrase.text;
  }

  #refusePassword(what: string, otherwise: string): undefined {
    const { file, name } = this.#password;
    if (file === undefined) return this.#refuse(`${what}, and no passphrase is given`, `set ${name} to a file with it`);
    const hint = `put the right one into that file; if it is right, ${otherwise}`;
    return this.#refuse(`${what}, which the passphrase in ${file.file} does not open`, hint);
  }

  #refuse(what: string, hint: string): undefined {
    report(this.#problems, this.#source, what, hint);
    return undefined;
  }
}

/** The object identifiers of PKCS#7 signed data, of PBES2 and its elders, and of PKCS#12's own encryption. */
const SIGNED_DATA = Buffer.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02);
const PKCS5 = Buffer.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05);
const PKCS12_PBE = Buffer.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01);

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
