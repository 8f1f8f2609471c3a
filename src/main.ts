// The program: its arguments name one command, whose code is loaded only then.

import { parseArgs } from 'node:util';

const USAGE = `usage: portico <command>

  run           open the door (with no variable set: the embedded demo)
  validate, -t  check the configuration and the certificate files, change nothing
  healthcheck   exit 0 when the instance on this machine is ready, 1 when not
  version       print the version

Configuration comes from the environment; the README has the table of variables.
`;

process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  const parsed = parse(argv);
  if (typeof parsed === 'string') {
    process.stderr.write(`portico: ${parsed}\n\n${USAGE}`);
    return 2;
  }
  switch (parsed.command) {
    case 'help':
      process.stdout.write(USAGE);
      return 0;
    case 'run':
      return (await import('./control/commands.ts')).run(process.env);
    case 'validate':
      return (await import('./control/commands.ts')).validate(process.env);
    case 'healthcheck':
      return (await import('./control/healthcheck.ts')).healthcheck(process.env);
    case 'version':
      return (await import('./control/version.ts')).printVersion();
    default:
      process.stderr.write(`portico: there is no command "${parsed.command}"\n\n${USAGE}`);
      return 2;
  }
}

function parse(argv: readonly string[]): { command: string } | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { help: { type: 'boolean', short: 'h' }, validate: { type: 'boolean', short: 't' } },
    });
    if (positionals.length > 1) return `"${positionals[1]}" is one argument too many`;
    if (values.help === true) return { command: 'help' };
    if (values.validate === true) return { command: 'validate' };
    return { command: positionals[0] ?? 'help' };
  } catch (error) {
    return (error as Error).message;
  }
}
