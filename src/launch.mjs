#!/usr/bin/env node
// The first file that runs: says in one line when this Node is too old, then becomes a worker or reads its command.
// With a listener it opens no debugger, by which any user of the machine could do here as he likes. What it asks for is said later.
process.on('SIGUSR1', () => {});
const [major] = process.versions.node.split('.').map(Number);
if (major < 26) {
  console.error(
    `portico: this is Node ${process.versions.node}, Portico needs Node 26 or newer. ` +
      'Run "npm ci" and start it by "npm start" (which brings its own Node), or install Node 26.',
  );
  process.exit(1);
}
// A worker is this same program, started by its supervisor over a channel: so it is from source and in the one executable.
if (process.argv[2] === 'worker' && process.connected) await import('./worker.ts');
else await import('./main.ts');
