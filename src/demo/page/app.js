// The demo's steps: each calls the backend through the door as the product's UI would, and says what came back.

const API_BASEROUTE = window.TC_PARAMS?.API_BASEROUTE ?? '';
const PATIENCE_MS = 20_000;
const SAMPLE_BYTES = 1024 * 1024;

/** In memory only: neither a URL nor a storage ever sees it. */
let token;

/** Each returns what its outcome line says: { status, protocol, said, table }. What it throws is a failed step. */
const STEPS = {
  async status() {
    const { body, ...figures } = await call('');
    expect(body.name === 'portico-demo-backend', 'Something answers, but it is not the demo backend.', figures);
    const started = new Date(body.started).toLocaleTimeString();
    return { ...figures, said: `${body.name} ${body.version}, started at ${started}.` };
  },

  async login() {
    const figures = await logIn();
    return { ...figures, said: 'Logged in as demo.' };
  },

  async auth() {
    const { body, ...figures } = await callAsUser('auth/check');
    const rows = [['Request', `${body.method} ${body.target}`], ...Object.entries(body.headers)];
    return { ...figures, said: `The backend knows you as ${body.user}. It saw:`, table: { rows } };
  },

  async data() {
    const { body, ...figures } = await callAsUser('demo/data', postJson({ query: 'orders by city' }));
    const rows = body.rows.map(({ city, orders, revenue }) => [city, orders, revenue.toLocaleString('en')]);
    const said = `${rows.length} rows after a query of ${body.seconds} s.`;
    return { ...figures, said, table: { head: ['City', 'Orders', 'Revenue'], rows } };
  },

  async upload() {
    const file = document.getElementById('upload-file').files[0] ?? sampleFile();
    const form = new FormData();
    form.append('file', file);
    const { body, ...figures } = await callAsUser('demo/data/sources', { method: 'POST', body: form });
    const arrived = body.files[0];
    expect(arrived?.bytes === file.size, `Of ${file.size} bytes, ${arrived?.bytes ?? 0} arrived.`, figures);
    const hash = await sha256(file);
    expect(hash === undefined || hash === arrived.sha256, 'The file arrived changed.', figures);
    return { ...figures, said: `${arrived.name}: ${arrived.bytes.toLocaleString('en')} bytes arrived unchanged.` };
  },

  async websocket() {
    if (token === undefined) await logIn();
    return await talk(apiUrl('ws').replace(/^http/, 'ws'));
  },

  async events() {
    performance.clearResourceTimings();
    const url = apiUrl('events');
    const { ticks, spread } = await listen(url);
    const said = `${ticks} events over ${(spread / 1000).toFixed(1)} s.`;
    // They are sent 0.4 s apart.
    expect(spread > 800, `${said} Something on the way collects them.`, {});
    return { status: 'event stream', protocol: protocolOf(url), said };
  },

  async redirect() {
    const { body, redirectedTo, ...figures } = await call('redirect');
    expect(redirectedTo !== undefined, 'The answer was no redirect.', figures);
    expect(body.name === 'portico-demo-backend', `Led to ${redirectedTo}, which is not the backend.`, figures);
    return { ...figures, said: `Led to ${redirectedTo}, which is the backend.` };
  },

  async sso() {
    const form = new URLSearchParams({ SAMLResponse: btoa('<Response>demo</Response>'), RelayState: '/' });
    const { body, redirectedTo, ...figures } = await call('auth/provider/demo/acs', { method: 'POST', body: form });
    expect(redirectedTo !== undefined, 'The answer was no redirect.', figures);
    expect('user' in body, `Led to ${redirectedTo}, which knows no session.`, figures);
    if (body.user !== null) return { ...figures, said: `Led to ${redirectedTo}, with the session of ${body.user}.` };
    // Browsers may hold back the cookies of another site, and no door can change that.
    expect(!sameOrigin(), `Led to ${redirectedTo}, but the cookie got lost.`, figures);
    return { ...figures, said: `Led to ${redirectedTo}; this browser keeps the cookies of other sites to itself.` };
  },
};

/** A failed step, with as many figures as are known. */
class Problem extends Error {
  constructor(message, figures = {}) {
    super(message);
    this.figures = figures;
  }
}

function expect(holds, message, figures) {
  if (!holds) throw new Problem(message, figures);
}

/** The way that the product's UI builds its URLs; a base route with a trailing slash makes it `//path`. */
function apiUrl(path) {
  return new URL(`${API_BASEROUTE}/${path}`, location.href).href;
}

function sameOrigin() {
  return new URL(apiUrl('')).origin === location.origin;
}

async function call(path, init = {}) {
  const url = apiUrl(path);
  performance.clearResourceTimings();
  let response;
  let text;
  try {
    response = await fetch(url, { credentials: 'include', signal: AbortSignal.timeout(PATIENCE_MS), ...init });
    text = await response.text();
  } catch (cause) {
    if (cause.name === 'TimeoutError') throw new Problem(`No answer within ${PATIENCE_MS / 1000} s.`);
    throw new Problem(`No answer from ${new URL(url).origin}.`, { status: response?.status, unreachable: true });
  }
  const figures = { status: response.status, protocol: protocolOf(url) };
  const type = response.headers.get('content-type');
  const answered = `${response.url} answered with ${type ?? 'no content type'}`;
  expect(type === 'application/json', `This is not the backend: ${answered}.`, figures);
  const body = JSON.parse(text);
  expect(response.ok, body.error ?? 'The backend refused.', figures);
  return { ...figures, body, redirectedTo: response.redirected ? new URL(response.url).pathname : undefined };
}

async function callAsUser(path, init = {}) {
  if (token === undefined) await logIn();
  try {
    return await call(path, { ...init, headers: { ...init.headers, Authorization: `Bearer ${token}` } });
  } catch (problem) {
    // The token of a run before this one: the next try logs in again.
    if (problem.figures?.status === 401) token = undefined;
    throw problem;
  }
}

async function logIn() {
  const { body, ...figures } = await call('login', postJson({ username: 'demo', password: 'demo' }));
  token = body.token;
  return figures;
}

function postJson(value) {
  const headers = { 'Content-Type': 'application/json', 'x-json-flavor': 'demo' };
  return { method: 'POST', headers, body: JSON.stringify(value) };
}

/** What the browser spoke to the door; empty where the browser does not tell. */
function protocolOf(url) {
  const entry = performance.getEntriesByType('resource').findLast(({ name }) => name === url);
  return entry?.nextHopProtocol || undefined;
}

function sampleFile() {
  const line = '2026-01-01;Dijon;231;10226\n';
  const content = `day;city;orders;revenue\n${line.repeat(SAMPLE_BYTES / line.length)}`;
  return new File([content], 'sample-orders.csv', { type: 'text/csv' });
}

/** Undefined on a page without TLS, where browsers offer no digests. */
async function sha256(file) {
  if (crypto.subtle === undefined) return undefined;
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function talk(url) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, ['portico-demo', token]);
    const fail = (message) => {
      clearTimeout(patience);
      reject(new Problem(message));
      socket.close();
    };
    const patience = setTimeout(() => fail('The websocket fell silent.'), PATIENCE_MS);
    const sent = { text: 'Hello through the door', at: Date.now() };
    let echoed;
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.kind === 'hello') socket.send(JSON.stringify(sent));
      if (message.kind !== 'echo') return;
      if (message.frame.at !== sent.at) return fail('The echo is not what was sent.');
      echoed = message.frame.text;
      socket.close(1000);
    };
    socket.onclose = ({ code, wasClean }) => {
      if (echoed === undefined) return fail(`Closed before the echo, with ${code}.`);
      if (!wasClean) return fail(`Echoed, but not closed cleanly (${code}).`);
      clearTimeout(patience);
      resolve({
        status: 101,
        protocol: `websocket ${socket.protocol}`,
        said: `Echoed “${echoed}”, closed with ${code}.`,
      });
    };
  });
}

function listen(url) {
  return new Promise((resolve, reject) => {
    const source = new EventSource(url, { withCredentials: true });
    const fail = (message) => {
      clearTimeout(patience);
      source.close();
      reject(new Problem(message));
    };
    const patience = setTimeout(() => fail('The events stopped coming.'), PATIENCE_MS);
    let first;
    let ticks = 0;
    source.addEventListener('tick', ({ data }) => {
      first ??= performance.now();
      ticks++;
      const { tick, of } = JSON.parse(data);
      if (tick !== ticks) return fail(`Event ${tick} came as number ${ticks}.`);
      if (tick < of) return;
      clearTimeout(patience);
      source.close();
      resolve({ ticks, spread: performance.now() - first });
    });
    source.onerror = () => fail(`The stream broke off after ${ticks} events.`);
  });
}

async function runStep(name) {
  const card = document.querySelector(`[data-step="${name}"]`);
  if (card.dataset.state === 'running') return false;
  const button = card.querySelector('.run-step');
  // Not `disabled`, which would take the focus from a keyboard.
  button.setAttribute('aria-disabled', 'true');
  card.dataset.state = 'running';
  card.querySelector('.outcome').textContent = 'Running …';
  card.querySelector('.detail').replaceChildren();
  const begun = performance.now();
  try {
    const { table, said, ...figures } = await STEPS[name]();
    showOutcome(card, '✓', figures, performance.now() - begun, [said]);
    if (table !== undefined) card.querySelector('.detail').append(tableOf(table));
    card.dataset.state = 'ok';
  } catch (cause) {
    const figures = cause.figures ?? {};
    showOutcome(card, '✗', figures, performance.now() - begun, [cause.message, ...adviceFor(figures)]);
    card.dataset.state = 'failed';
  }
  button.removeAttribute('aria-disabled');
  return card.dataset.state === 'ok';
}

/** A browser does not ask about the certificate of another origin, it just fails: the most common first stumble. */
function adviceFor({ unreachable }) {
  const backend = new URL(apiUrl(''));
  if (!unreachable || sameOrigin() || backend.protocol !== 'https:') return [];
  const link = element('a', backend.origin);
  link.href = backend.href;
  link.target = '_blank';
  link.rel = 'noreferrer';
  return [' If its certificate is your own, open ', link, ' once and accept it.'];
}

function showOutcome(card, mark, { status, protocol }, elapsed, said) {
  const figures = [status, `${Math.round(elapsed).toLocaleString('en')} ms`, protocol];
  card
    .querySelector('.outcome')
    .replaceChildren(
      element('span', mark, 'mark'),
      ' ',
      element('span', figures.filter((figure) => figure !== undefined).join(' · '), 'figures'),
      ' ',
      element('span', said, 'said'),
    );
}

function tableOf({ head, rows }) {
  const table = element('table', []);
  if (head !== undefined) {
    const cells = head.map((title) => element('th', title));
    for (const cell of cells) cell.scope = 'col';
    table.append(element('thead', [element('tr', cells)]));
  }
  const lines = rows.map(([title, ...values]) => {
    const heading = element('th', title);
    heading.scope = 'row';
    const cells = values.map((value) =>
      value === null ? element('td', 'not sent', 'absent') : element('td', `${value}`),
    );
    return element('tr', [heading, ...cells]);
  });
  table.append(element('tbody', lines));
  return table;
}

/** Text goes in as text, whatever a backend put into it. */
function element(name, content, className = '') {
  const node = document.createElement(name);
  node.append(...(typeof content === 'string' ? [content] : content));
  if (className !== '') node.className = className;
  return node;
}

async function runAll() {
  const button = document.getElementById('run-all');
  if (button.getAttribute('aria-disabled') === 'true') return;
  button.setAttribute('aria-disabled', 'true');
  delete document.body.dataset.all;
  const progress = document.getElementById('progress');
  const summary = document.getElementById('summary');
  const names = Object.keys(STEPS);
  const begun = performance.now();
  let passed = 0;
  progress.value = 0;
  summary.textContent = 'Running …';
  for (const name of names) {
    if (await runStep(name)) passed++;
    progress.value++;
  }
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  summary.textContent = `${passed} of ${names.length} steps passed in ${seconds} s.`;
  document.body.dataset.all = passed === names.length ? 'ok' : 'failed';
  button.removeAttribute('aria-disabled');
}

function showFacts() {
  const page = performance.getEntriesByType('navigation')[0];
  const facts = [
    ['This page', location.origin],
    ['Its protocol', page?.nextHopProtocol || 'not told by this browser'],
    ['The backend (API_BASEROUTE)', API_BASEROUTE || 'not set'],
    ['Calls to it are', sameOrigin() ? 'same-origin' : 'cross-origin, with preflights'],
  ];
  document
    .getElementById('facts')
    .replaceChildren(...facts.map(([title, value]) => element('div', [element('dt', title), element('dd', value)])));
}

showFacts();
document.getElementById('run-all').addEventListener('click', runAll);
for (const name of Object.keys(STEPS)) {
  document.querySelector(`[data-step="${name}"] .run-step`).addEventListener('click', () => runStep(name));
}
