// A websocket client that says a few words, hears their echo, and tells what it saw.

import type { IncomingMessage } from 'node:http';
import type { ConnectionOptions } from 'node:tls';
import { type ClientOptions, type RawData, WebSocket } from 'ws';
import type { Headers } from '../../src/http/headers.ts';
import { type Door, PATIENCE } from './exchange.ts';

export interface WebSocketVisit {
  readonly target: string;
  readonly authority: string;
  readonly protocols: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly messages: readonly string[];
}

export interface WebSocketSeen {
  /** 101, or that of the refusal. */
  readonly status: number;
  readonly headers: Headers;
  /** The subprotocol agreed on, or ''. */
  readonly protocol: string;
  /** What came back, or the body of a refusal. */
  readonly messages: readonly string[];
  /** 1006 when it ended without a close frame. */
  readonly closeCode: number;
}

/** Opens one, sends the messages one by one as their echoes come, then closes with 1000 unless the other side did. */
export function visitWebSocket(door: Door, visit: WebSocketVisit): Promise<WebSocketSeen> {
  return new Promise((resolve, reject) => {
    const options: ClientOptions & ConnectionOptions = {
      headers: { ...visit.headers, Host: visit.authority },
      servername: door.serverName,
      ca: door.ca,
      perMessageDeflate: false,
      handshakeTimeout: PATIENCE,
    };
    const socket = new WebSocket(`wss://127.0.0.1:${door.port}${visit.target}`, [...visit.protocols], options);
    let status = 0;
    let headers: Headers = [];
    const heard: string[] = [];
    const timer = setTimeout(() => socket.terminate(), PATIENCE);
    const settle = (closeCode: number) => {
      clearTimeout(timer);
      resolve({ status, headers, protocol: socket.protocol, messages: heard, closeCode });
    };
    const next = () => {
      const message = visit.messages[heard.length];
      if (message === undefined) socket.close(1000);
      else socket.send(message);
    };
    socket.on('upgrade', (response: IncomingMessage) => {
      status = response.statusCode ?? 0;
      headers = response.rawHeaders;
    });
    socket.on('unexpected-response', (_request, response: IncomingMessage) => {
      status = response.statusCode ?? 0;
      headers = response.rawHeaders;
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => {
        heard.push(body);
        settle(1006);
      });
    });
    socket.on('open', next);
    socket.on('message', (message: RawData) => {
      heard.push(message.toString());
      next();
    });
    socket.on('close', (code) => settle(code));
    socket.on('error', (error) => {
      if (status !== 0) return;
      clearTimeout(timer);
      reject(error);
    });
  });
}
