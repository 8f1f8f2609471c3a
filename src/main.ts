// The program: its arguments name one command, whose code is loaded only then.

import { parseArgs } from 'node:util';

const USAGE = `usage: portico <command> [--config FILE]

  run           open the door (with no variable set: the embedded demo); --takeover: in place of an instance that runs
  validate, -t  check the configuration and the certificate files, change nothing; -T prints all that is in force
  reload        have the running instance read its configuration and certificates again, and tell the outcome
  status        show what passes through the running instance, its upstreams and certificates, and what failed last
  explain URL   tell which route a request would take, from the configuration alone
  cert lint     tell what is wrong with the certificate and key files behind it (--password-file FILE: their passphrase)
  cert list     list the certificates in force, or those of the configuration when no instance runs
  adapt FILE    print the configuration file for a Caddyfile like that of the self-hosting FAQ
  doctor        look for what is wrong in the configuration, its surroundings and the running instance, and say what to do
  healthcheck   exit 0 when the instance on this machine is ready, 1 when not
  schema        print the JSON Schema of the configuration file
  version       print the version

Configuration comes from the file (or PORTICO_CONFIG), else from the environment; the README has the keys and the variables.
`;

/** Commands that take one word more, and which. */
const OPERANDS = new Map([
  ['explain', 'a URL'],
  ['adapt', 'a file'],
  ['cert', 'lint or list'],
]);
const WITHOUT_CONFIG: readonly string[] = ['adapt', 'schema', 'version'];

const OPTIONS = {
  help: { type: 'boolean', short: 'h' },
  validate: { type: 'boolean', short: 't' },
  print: { type: 'boolean', short: 'T' },
  config: { type: 'string', short: 'c', multiple: true },
  takeover: { type: 'boolean' },
  'password-file': { type: 'string', multiple: true },
} as const;

interface Arguments {
  readonly command: string;
  readonly operand: string;
  /** What follows it. */
  readonly more: readonly string[];
  readonly passwordFile: string | undefined;
  readonly config: string | undefined;
  readonly print: boolean;
  readonly takeover: boolean;
}

process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  const parsed = parse(argv);
  if (typeof parsed === 'string') {
    process.stderr.write(`portico: ${parsed}\n\n${USAGE}`);
    return 2;
  }
  const { command, operand, more, config, print, passwordFile, takeover } = parsed;
  // To run writes by its log, which loses no more than lines.
  if (command !== 'run') process.stdout.on('error', onUnwritten);
  switch (command) {
    case 'help':
      process.stdout.write(USAGE);
      return 0;
    case 'run': {
      // Before all else is loaded: a signal that comes meanwhile would end us, or as process 1 of a container be lost.
      const signals = (await import('./control/signals.ts')).catchSignals();
      return (await import('./control/commands.ts')).run(config, takeover, process.env, signals);
    }
    case 'validate':
      return (await import('./control/commands.ts')).validate(config, print, process.env);
    case 'reload':
      return (await import('./control/commands.ts')).reload(config, process.env);
    case 'status':
      return (await import('./control/commands.ts')).status(config, process.env);
    case 'explain':
      return (await import('./control/explain.ts')).explain(operand, config, process.env);
    case 'cert': {
      const { lint, list } = await import('./control/certificate-commands.ts');
      return operand === 'lint' ? lint(more, passwordFile) : list(config, process.env);
    }
    case 'adapt':
      return (await import('./control/adapt.ts')).adapt(operand);
    case 'doctor':
      return (await import('./control/doctor.ts')).doctor(config, process.env);
    case 'healthcheck':
      return (await import('./control/healthcheck.ts')).healthcheck(config, process.env);
    case 'schema':
      return (await import('./control/file-format.ts')).printSchema();
    case 'version':
      return (await import('./control/version.ts')).printVersion();
    default:
      process.stderr.write(`portico: there is no command "${command}"\n\n${USAGE}`);
      return 2;
  }
}

/** Who reads may leave before we are done, as `head` does. */
function onUnwritten(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') return;
  process.stderr.write(`portico: standard output could not be written: ${error.message}\n`);
  process.exitCode = 1;
}

function parse(argv: readonly string[]): Arguments | string {
  let read: ReturnType<typeof readOptions>;
  try {
    read = readOptions(argv);
  } catch (error) {
    return wordsFor(error as NodeJS.ErrnoException);
  }
  const { values, positionals } = read;
  const print = values.print === true;
  const isFlagged = values.validate === true || (print && positionals.length === 0);
  const words = isFlagged ? ['validate', ...positionals] : positionals;
  if (values.help !== true && words.length === 0) return 'a command is missing';
  const [config, secondConfig] = values.config ?? [];
  const [passwordFile, secondPasswordFile] = values['password-file'] ?? [];
  if (secondConfig !== undefined) return '--config is given twice';
  if (secondPasswordFile !== undefined) return '--password-file is given twice';
  const given: Arguments = {
    command: values.help === true ? 'help' : words[0]!,
    operand: words[1] ?? '',
    more: words.slice(2),
    ...{ passwordFile, config, print, takeover: values.takeover === true },
  };
  return given.command === 'help' ? given : (misplaced(words, given) ?? given);
}

function readOptions(argv: readonly string[]) {
  return parseArgs({ args: [...argv], allowPositionals: true, options: OPTIONS });
}

/** The parser's own words are about programs that take what begins with a dash. */
function wordsFor({ code, message }: NodeJS.ErrnoException): string {
  const [, option] = /^Unknown option '([^']*)'/.exec(message) ?? [];
  return code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION' ? `there is no option ${option}` : message;
}

/** What is missing, one too many, or belongs to another command. */
function misplaced(words: readonly string[], given: Arguments): string | undefined {
  const { command, operand, config, passwordFile, print, takeover } = given;
  const isLint = command === 'cert' && operand === 'lint';
  const wanted = OPERANDS.get(command);
  const most = isLint ? words.length : wanted === undefined ? 1 : 2;
  const takesConfig = !isLint && !WITHOUT_CONFIG.includes(command);
  if (words.length > most) {
    const isFile = takesConfig && config === undefined && /\.ya?ml$/.test(words[most]!);
    return `"${words[most]}" is one argument too many${isFile ? ': a configuration file is named by --config' : ''}`;
  }
  if (wanted !== undefined && operand === '') return `${command} needs ${wanted}`;
  if (command === 'cert' && !isLint && operand !== 'list') return `cert is followed by lint or list, not "${operand}"`;
  if (isLint && words.length < 3) return 'cert lint needs the names of files';
  if (passwordFile !== undefined && !isLint) return '--password-file belongs to cert lint';
  if (print && command !== 'validate') return '-T belongs to validate';
  if (takeover && command !== 'run') return '--takeover belongs to run';
  if (config === '') return '--config names no file';
  if (config !== undefined && !takesConfig) return `--config has no effect on ${isLint ? 'cert lint' : command}`;
  return undefined;
}
