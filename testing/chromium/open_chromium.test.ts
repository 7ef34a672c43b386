import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';

import {bundle, findChromium, openChromium, withChromium, type Files} from './index.js';

const inChromium = findChromium() === null ? test.skip : test;

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'resbatchnorm-'));
});

afterAll(() => {
  rmSync(folder, {recursive: true});
});

function source(name: string, text: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
}

const noFiles: Files = new Map();

inChromium('entries share what they both import', async () => {
  source('counter.ts', 'let n = 0; export const count = (): number => ++n;');
  const text = "export {count} from './counter';";
  const files = await bundle({
    entries: {a: source('a.ts', text), b: source('b.ts', text)},
  });
  const counts = await withChromium(files, async chromium => {
    const page = await chromium.openPage();
    return page.evaluate(`(async () => {
      const [a, b] = await Promise.all([import('/a.js'), import('/b.js')]);
      return [a.count(), b.count()];
    })()`);
  });
  expect(counts).toEqual([1, 2]);
});

inChromium('a page has WebGL, WebGPU and an exact clock', async () => {
  const page = await withChromium(noFiles, async chromium =>
    (await chromium.openPage()).evaluate(`(async () => ({
      webgl: document.createElement('canvas').getContext('webgl2') !== null,
      webgpu: (await navigator.gpu.requestAdapter()) !== null,
      crossOriginIsolated,
    }))()`),
  );
  expect(page).toEqual({webgl: true, webgpu: true, crossOriginIsolated: true});
});

inChromium(
  'an error of the caller closes the browser, and stays that error',
  async () => {
    let isClosed: (() => boolean) | undefined;
    const failing = withChromium(noFiles, async chromium => {
      const page = await chromium.openPage();
      isClosed = () => page.isClosed();
      throw new RangeError('of the caller');
    });
    await expect(failing).rejects.toThrow(RangeError);
    expect(isClosed!()).toBe(true);
  },
);

test('a fault in a module is named with its line', async () => {
  const entry = source('faulty.ts', "\nimport './gone';");
  await expect(bundle({entries: {entry}})).rejects.toThrow(
    /faulty\.ts:2:7: ERROR: Could not resolve "\.\/gone"/,
  );
});

describe('without a Chromium that starts', () => {
  const {CHROME_BIN, PATH} = process.env;

  afterEach(() => {
    process.env.PATH = PATH;
    if (CHROME_BIN === undefined) delete process.env.CHROME_BIN;
    else process.env.CHROME_BIN = CHROME_BIN;
  });

  test('there is one error that says what to do', async () => {
    delete process.env.CHROME_BIN;
    process.env.PATH = folder;
    await expect(openChromium(noFiles)).rejects.toThrow(
      'There is no chromium on the PATH. Install one (Debian and Ubuntu: `apt install ' +
        'chromium`), or name one in the environment variable CHROME_BIN.',
    );
  });

  test('the error names the program and why it did not start', async () => {
    process.env.CHROME_BIN = process.execPath;
    await expect(openChromium(noFiles)).rejects.toThrow(
      `${process.execPath} did not start: `,
    );
  });
});
