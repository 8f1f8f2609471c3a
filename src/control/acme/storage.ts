// Where account keys, certificates and the state of orders are kept: what a store has to do, whichever it is.

/** Names are like `certificates/a.example.com`: parts of small letters, digits and `. _ -`, joined by slashes. */
export interface Storage {
  /** undefined: nothing has that name. */
  load(name: string): Promise<Buffer | undefined>;
  /** Whole or not at all, and still there after a crash. */
  store(name: string, bytes: Uint8Array): Promise<void>;
  /** Of what is stored under `prefix/`, in order. */
  list(prefix: string): Promise<string[]>;
  /** undefined: somebody else holds it, in this process or in another. It is free again when its holder lets go, or is gone. */
  lock(name: string): Promise<Lock | undefined>;
}

export interface Lock {
  release(): Promise<void>;
}

/** The store did not do it; the message is for people, and says what to do. Every method above may reject with it. */
export class StorageError extends Error {
  override readonly name = 'StorageError';
}

/** Throws for a name that a store must not see: it could lead out of it. */
export function checkStorageName(name: string): void {
  const parts = name.split('/');
  if (parts.every((part) => /^[a-z0-9_-][a-z0-9._-]{0,250}$/.test(part))) return;
  throw new StorageError(`"${name}" is no name for the store of certificates`);
}
