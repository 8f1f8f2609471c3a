// Media type: by the extension of a name, and by that alone.

import t from 'tap';
import { mediaType } from '../../src/files/media-type.ts';

t.test('the type of a name', async (t) => {
  for (const [path, type] of [
    ['index.html', 'text/html; charset=utf-8'],
    ['docs/a.b.HTML', 'text/html; charset=utf-8'],
    ['embed-params.json', 'application/json'],
    ['html', 'application/octet-stream'],
    ['docs/html', 'application/octet-stream'],
    ['js/LICENSE', 'application/octet-stream'],
    ['a.unheard-of', 'application/octet-stream'],
  ] as const) {
    t.equal(mediaType(path), type, path);
  }
});
