import {chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';

import {findChromium} from './find_chromium.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'resbatchnorm-'));
});

afterEach(() => {
  rmSync(folder, {recursive: true});
});

function program(name: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, '');
  chmodSync(file, 0o755);
  return file;
}

test('the first name that is on the PATH is taken', () => {
  const chrome = program('google-chrome');
  const PATH = ['/nowhere', folder].join(path.delimiter);
  expect(findChromium({PATH})).toBe(chrome);
  const chromium = program('chromium');
  expect(findChromium({PATH})).toBe(chromium);
});

test('without one it is null, also where a folder has the name', () => {
  mkdirSync(path.join(folder, 'chromium'));
  expect(findChromium({PATH: folder})).toBeNull();
  expect(findChromium({})).toBeNull();
});

test('CHROME_BIN comes first', () => {
  program('chromium');
  const own = program('my-browser');
  expect(findChromium({PATH: folder, CHROME_BIN: own})).toBe(own);
});

test('CHROME_BIN that names no program is an error', () => {
  const PATH = path.dirname(program('chromium'));
  const CHROME_BIN = path.join(folder, 'gone');
  expect(() => findChromium({PATH, CHROME_BIN})).toThrow(
    `CHROME_BIN must be the path of a Chromium or Chrome. Received: ${CHROME_BIN}, ` +
      'where no program is.',
  );
});
