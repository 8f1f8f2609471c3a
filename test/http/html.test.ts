// Text in HTML: nothing in it can end the place that it stands in.

import fc from 'fast-check';
import t from 'tap';
import { escapeHtml } from '../../src/http/html.ts';

t.test('what HTML would read is written as it is seen', async (t) => {
  t.equal(escapeHtml(`<a href="x" title='y'>&amp;`), '&#60;a href=&#34;x&#34; title=&#39;y&#39;&#62;&#38;amp;');
});

t.test('no text holds markup afterwards, and all of it is there', async () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const escaped = escapeHtml(text);
      const read = escaped.replace(/&#(\d+);/g, (_whole, code: string) => String.fromCharCode(Number(code)));
      return !/[<>"']|&(?!#\d+;)/.test(escaped) && read === text;
    }),
  );
});
