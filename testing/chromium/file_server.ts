/** Serves files from memory on 127.0.0.1. */
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';

import type {Files} from './files.js';

export interface FileServer {
  /** Without a slash at the end. */
  origin: string;
  close(): Promise<void>;
}

const emptyPage =
  '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title></title>';

const headers = {
  // Isolated pages have a clock of 5 microseconds, and SharedArrayBuffer.
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cache-Control': 'no-store',
};

/** The path `/` is an empty page. WebGPU is there: browsers trust 127.0.0.1 as they do HTTPS. */
export async function serveFiles(files: Files): Promise<FileServer> {
  const server = createServer(({url = '/'}, response) => {
    const {pathname} = new URL(url, 'http://127.0.0.1');
    const content = pathname === '/' ? emptyPage : files.get(pathname);
    if (content === undefined) {
      response.writeHead(404, headers).end();
      return;
    }
    const type = pathname === '/' ? 'text/html' : typeOf(pathname);
    response.writeHead(200, {...headers, 'Content-Type': type}).end(content);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const {port} = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function typeOf(pathname: string): string {
  return pathname.endsWith('.js') ? 'text/javascript' : 'application/json';
}
