/** Headless Chromium, with pages that load files from memory. */
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';

import type {Page} from 'playwright-core';

import type {Files} from './bundle.js';
import {ChromiumError, findChromium} from './find_chromium.js';

export interface Chromium {
  /** For the report of a benchmark, such as `156.0.8078.79`. */
  readonly version: string;
  /**
   * Opens an empty page that shares no storage and no cache with others. In it,
   * `import('/bench.js')` loads the entry `bench` of the bundle. Closing the page is left to
   * the caller, or to `close`.
   */
  openPage(): Promise<Page>;
  /** Closes all pages, the browser and the server; safe to call again. */
  close(): Promise<void>;
}

/**
 * WebGL and WebGPU on SwiftShader, a GPU made of software, so that results do not depend on
 * the machine; and no requests to the outside.
 */
const flags = [
  // Root, as in a container, can not have the sandbox; only own code is loaded.
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--use-gl=angle',
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
  '--ignore-gpu-blocklist',
  '--enable-features=Vulkan',
  // Otherwise the canvas through which TensorFlow.js reads WebGPU data at once, in `dataSync`,
  // takes the device down.
  '--use-vulkan=swiftshader',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  '--disable-quic',
];

/**
 * Starts Chromium with pages that can load the files. It must be closed; `withChromium` does
 * that by itself. It is also ended with this process.
 *
 * @throws ChromiumError if there is none, or if it does not start.
 */
export async function openChromium(files: Files): Promise<Chromium> {
  const executablePath = findChromium();
  if (executablePath === null) {
    throw new ChromiumError(
      'There is no chromium on the PATH. Install one (Debian and Ubuntu: `apt install ' +
        'chromium`), or name one in the environment variable CHROME_BIN.',
    );
  }
  // Loaded only here: whoever only looks for a Chromium does not wait for it.
  const {chromium} = await import('playwright-core');
  const server = await serveFiles(files);
  try {
    const browser = await chromium.launch({executablePath, args: flags});
    return {
      version: browser.version(),
      openPage: async () => {
        const page = await browser.newPage();
        await page.goto(server.origin);
        return page;
      },
      close: async () => {
        await Promise.allSettled([browser.close(), server.close()]);
      },
    };
  } catch (cause) {
    await server.close();
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ChromiumError(`${executablePath} did not start: ${reason}`, {cause});
  }
}

/** Calls the function with a Chromium, which is closed when it is done or has thrown. */
export async function withChromium<T>(
  files: Files,
  use: (chromium: Chromium) => Promise<T>,
): Promise<T> {
  const chromium = await openChromium(files);
  try {
    return await use(chromium);
  } finally {
    await chromium.close();
  }
}

interface FileServer {
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

/**
 * Serves files from memory; the path `/` is an empty page. On 127.0.0.1, which browsers trust as
 * they do HTTPS, so that WebGPU is there.
 */
async function serveFiles(files: Files): Promise<FileServer> {
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
