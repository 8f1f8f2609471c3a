// Request bodies of the demo's backend: bounded, then parsed; whatever is wrong with one is a Refusal.

import type { IncomingMessage } from 'node:http';

/** An error answer: thrown by a route, sent as JSON by the backend. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** An empty body is an empty object. */
export async function readJson(request: IncomingMessage, limit: number): Promise<Record<string, unknown>> {
  const body = await readBody(request, limit);
  if (body.length === 0) return {};
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    throw new Refusal(400, 'The body is not JSON.');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Refusal(400, 'The body is not a JSON object.');
  }
  return value as Record<string, unknown>;
}

/** Forms as browsers send them: urlencoded or multipart. */
export async function readForm(request: IncomingMessage, limit: number, type: string): Promise<FormData> {
  const contentType = request.headers['content-type'] ?? '';
  if (contentType.split(';', 1)[0]!.trim().toLowerCase() !== type) throw new Refusal(415, `The body must be ${type}.`);
  const body = await readBody(request, limit);
  try {
    return await new Response(new Uint8Array(body), { headers: { 'Content-Type': contentType } }).formData();
  } catch {
    throw new Refusal(400, `The body is not a well-formed ${type}.`);
  }
}

/** Past the limit nothing is kept, but the rest is still read: a peer that is cut while it sends may never see the answer. */
function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const refuse = () => reject(new Refusal(413, `The body is larger than ${limit} bytes.`));
    if (Number(request.headers['content-length']) > limit) refuse();
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) {
        chunks.push(chunk);
      } else {
        chunks.length = 0;
        refuse();
      }
    });
    request.on('end', () => resolve(Buffer.concat(chunks)));
    request.on('error', reject);
    request.on('close', () => reject(new Refusal(400, 'The body broke off.')));
  });
}
