#!/usr/bin/env node
// The first file that runs: says in one line when this Node is too old, then hands over to main.ts.
const [major] = process.versions.node.split('.').map(Number);
if (major < 26) {
  console.error(
    `portico: this is Node ${process.versions.node}, Portico needs Node 26 or newer. ` +
      'Run "npm ci" and start it by "npm start" (which brings its own Node), or install Node 26.',
  );
  process.exit(1);
}
await import('./main.ts');
