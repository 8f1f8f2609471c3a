// The base of a page: only the first, only when it is `/`, in each of its spellings, and in linear time.

import t from 'tap';
import { rewriteBase } from '../../src/http/base-href.ts';

t.test('the base names the prefix', async (t) => {
  const cases: [page: string, wanted: string][] = [
    ['<head><base href="/"><x>', '<head><base href="/app/"><x>'],
    ["<base href='/' target=x>", "<base href='/app/' target=x>"],
    ['<base href=/>', '<base href="/app/">'],
    ['<BASE\n HREF = "/" />', '<BASE\n HREF = "/app/" />'],
    ['<base target="_blank" href="/">', '<base target="_blank" href="/app/">'],
    ['<base target=a><base href="/">', '<base target=a><base href="/app/">'],
    ['<!-- <base href="/x/"> --><base href="/">', '<!-- <base href="/x/"> --><base href="/app/">'],
    ['<script>"<base href=/x>"</script><base href="/">', '<script>"<base href=/x>"</script><base href="/app/">'],
    ['<base href="/"><base href="/">', '<base href="/app/"><base href="/">'],
    ['\xff\xfe\x00<base href="/">', '\xff\xfe\x00<base href="/app/">'],
  ];
  for (const [page, wanted] of cases) {
    t.equal(rewriteBase(page, '/app', true), wanted, page);
    t.equal(rewriteBase(page, '/app', false), wanted, 'before the rest has come');
  }
  t.equal(rewriteBase('<base href="/">', '/a\'b&c"', true), '<base href="/a&#39;b&#38;c&#34;/">');
});

t.test('all else stays as it is', async (t) => {
  const pages = [
    ...['<base href="/other/"><base href="/">', '<base href="./">', '<base href="">', '<base data-href="/">', '<base>'],
    ...['<body><base href="/">', '</head><base href="/">', '<title><base href="/"></title>', '<basefont href="/">', ''],
    ...['<!-- <base href="/">', '<script><base href="/">', '<base href="/'],
  ];
  for (const page of pages) t.equal(rewriteBase(page, '/app', true), page, page);
});

t.test('what does not tell yet waits for more', async (t) => {
  const page = '<!doctype html><!-- <body> --><script>"</head>"</script><base href="/"><body>';
  const until = page.indexOf('"/">') + '"/">'.length;
  for (let i = 0; i < page.length; i++)
    t.equal(rewriteBase(page.slice(0, i), '/app', false) !== undefined, i >= until, `${i}`);
  t.equal(rewriteBase('<p><body', '/app', false), undefined, 'a name that goes on');
  t.equal(rewriteBase('<p><body>', '/app', false), '<p><body>');
});

t.test('no page is looked at for long', async (t) => {
  const pieces = ['<base ', '<!--', '<script', '<base href=', 'a="', '=a', ' ', '="a"', '= ', '<base a="'];
  for (const piece of pieces) {
    const page = piece.repeat(Math.floor(60_000 / piece.length));
    const before = performance.now();
    for (const each of [page, `<base ${page}>`]) rewriteBase(each, '/app', false);
    // It takes a few ms; quadratic, it would take minutes.
    t.ok(performance.now() - before < 10_000, JSON.stringify(piece));
  }
});
