// Hashed name: what may be kept for a year, and what only looks like it.

import t from 'tap';
import { hasHashedName } from '../../src/files/hashed-name.ts';

t.test('names with a hash, and words that only look like one', async (t) => {
  for (const name of [
    'main.4f1c9a7be2d0.js',
    'chunk.vendors~main.77aa01ff.js',
    'main.4f1c9a7be2d0.js.map',
    'a.aB3dE9xYz1.css',
    'a.0123456789abcdef0123.woff2',
    'chunk.FBK2E3RM.js',
    'index.BQ3fx9Ab.js',
    'index.Cz81hV0s2LmQ4tYb7WnE.css',
  ]) {
    t.equal(hasHashedName(name), true, name);
  }
  for (const name of [
    'main.js',
    'index.html',
    'index.4f1c9a7be2d0.html',
    'chunk.dashboard2.js',
    'a.20260102.js',
    'jquery.1234567.js',
    'a.4f1c9a7be2d0',
    'a.deadbeef.js',
    'a.4f1c9a7.js',
    'a.4f1c9a7be2d0-1.js',
    'a.abcdefgh.js',
    'chunk.Dashboard2.js',
    'tc-params.js',
    'report.2024q1to2024q4.json',
    'report.2024Q1to2024Q4.json',
    'data.20240115T1200.json',
    'data.20240115b.json',
    'model.yolov8nano640.onnx',
    'inter.latin400italic700.woff2',
    'inter.latin400Italic700.woff2',
    'lib.base64url2hex.js',
    'lib.base64Url2Hex.js',
    'app.es2015es2017.js',
    'names.iso8859to8859.txt',
    'tour.iPhone15ProMax.mp4',
    'video.H264ToH265.wasm',
  ]) {
    t.equal(hasHashedName(name), false, name);
  }
});
