import {mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

import {checkWritable, reasonOf, UsageError} from './command_line.js';

describe('reasonOf', () => {
  it.each([
    [
      new Error("ENOENT: no such file or directory, open '/x'"),
      'no such file or directory',
    ],
    [new Error('one line\nand more'), 'one line'],
    ['a string', 'a string'],
  ])('of %s', (error, reason) => {
    expect(reasonOf(error)).toBe(reason);
  });
});

describe('checkWritable', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'command-line-'));
  });

  afterEach(() => rm(folder, {recursive: true}));

  it('makes the folder and leaves nothing in it', async () => {
    const out = join(folder, 'a', 'b');
    await checkWritable(out, {folder: out});
    expect(await readdir(out)).toEqual([]);
  });

  it('leaves a file as it is', async () => {
    const file = join(folder, 'report');
    await writeFile(file, 'of an earlier run');
    await checkWritable(file, {folder, files: [file]});
    expect(await readFile(file, 'utf8')).toBe('of an earlier run');
  });

  it('says what is wrong with a file that is a folder', async () => {
    const failing = checkWritable('out', {folder: tmpdir(), files: [folder]});
    await expect(failing).rejects.toThrow(UsageError);
    await expect(failing).rejects.toThrow(/^Cannot write to --out out: .*directory/);
  });
});
