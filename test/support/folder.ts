// Temporary folders that go away with their test.

import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

/** Makes an empty folder. Outside of the repository, because unix sockets in it must have short paths. */
export function makeFolder(t: Test, name = 'test'): string {
  const folder = mkdtempSync(join(tmpdir(), `portico-${name}-`));
  // Servers that drop their privileges still have to read it.
  chmodSync(folder, 0o755);
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }));
  return folder;
}
