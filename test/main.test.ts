// The arguments: what is wrong with them is told in a line above the usage, with exit code 2; nothing is ignored in silence.

import { spawnSync } from 'node:child_process';
import t from 'tap';
import { LAUNCHER } from './support/portico.ts';

const run = (...args: string[]) =>
  spawnSync(process.execPath, [LAUNCHER, ...args], { encoding: 'utf8', env: { PATH: process.env.PATH } });

t.test('help', async (t) => {
  for (const args of [['--help'], ['-h'], ['help'], ['help', 'run'], ['run', '--help'], ['cert', '-h']])
    t.match(run(...args), { status: 0, stdout: /^usage: portico/, stderr: '' }, args.join(' '));
});

t.test('what is wrong', async (t) => {
  for (const [args, words] of [
    ['', 'a command is missing'],
    ['state', 'there is no command "state"'],
    ['constructor', 'there is no command "constructor"'],
    ['--version', 'there is no option --version'],
    ['-x', 'there is no option -x'],
    ['run --config', /argument missing/],
    ['run --config=', '--config names no file'],
    ['run --config a --config b', '--config is given twice'],
    ['run now', '"now" is one argument too many'],
    ['validate portico.yaml', '"portico.yaml" is one argument too many: a configuration file is named by --config'],
    ['schema portico.yaml', '"portico.yaml" is one argument too many'],
    ['explain', 'explain needs a URL'],
    ['adapt', 'adapt needs a file'],
    ['cert', 'cert needs lint or list'],
    ['cert show', 'cert is followed by lint or list, not "show"'],
    ['cert lint', 'cert lint needs the names of files'],
    ['cert list --password-file a', '--password-file belongs to cert lint'],
    ['cert lint a --password-file a --password-file b', '--password-file is given twice'],
    ['cert lint a --config b', '--config has no effect on cert lint'],
    ['version --config a', '--config has no effect on version'],
    ['run -T', '-T belongs to validate'],
    ['validate --takeover', '--takeover belongs to run'],
  ] as const) {
    const { status, stdout, stderr } = run(...args.split(' ').filter((word) => word !== ''));
    const [first, second, third] = stderr.split('\n');
    t.match([status, stdout, second, third], [2, '', '', /^usage: portico/], args);
    if (typeof words === 'string') t.equal(first, `portico: ${words}`, args);
    else t.match(first, words, args);
  }
});
