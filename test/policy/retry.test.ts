// Retry: the whole table of what may be made again, and that nothing else may.

import t from 'tap';
import { FAILURES } from '../../src/model/failure.ts';
import { type Failed, isIdempotent, mayRetry } from '../../src/policy/retry.ts';

const METHODS = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'POST', 'PATCH', 'PROPFIND', 'get', ''];
const BOTH = [false, true];

t.test('which methods may be repeated', async (t) => {
  const may = METHODS.filter(isIdempotent);
  t.strictSame(may, ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);
});

t.test('every combination', async (t) => {
  let combinations = 0;
  for (const failure of Object.values(FAILURES))
    for (const method of METHODS)
      for (const reused of BOTH)
        for (const bodyStarted of BOTH)
          for (const answerStarted of BOTH)
            for (const upgrade of BOTH) {
              combinations++;
              const failed: Failed = { failure, method, reused, bodyStarted, answerStarted, upgrade };
              const again = mayRetry(failed);
              const untouched = !bodyStarted && !answerStarted;
              const stale = failure === FAILURES.lost && reused && !upgrade && isIdempotent(method);
              const expected = !untouched
                ? 'no'
                : failure.unsent
                  ? 'other-endpoint'
                  : stale
                    ? 'fresh-connection'
                    : 'no';
              if (again !== expected) t.fail(`${JSON.stringify(failed)}: ${again}`);
            }
  t.equal(combinations, Object.keys(FAILURES).length * METHODS.length * 16);
});

t.test('a failure of the upstream that it may have acted on is never repeated for a POST', async (t) => {
  for (const failure of [FAILURES.lost, FAILURES.truncated, FAILURES.responseTimeout, FAILURES.malformedResponse]) {
    for (const reused of BOTH) {
      const failed = { failure, method: 'POST', reused, bodyStarted: false, answerStarted: false, upgrade: false };
      t.equal(mayRetry(failed), 'no', failure.code);
    }
  }
});
