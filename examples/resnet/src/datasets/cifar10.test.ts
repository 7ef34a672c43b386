import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

import {DatasetError, loadCifar10} from './cifar10.js';

const trainFiles = [1, 2, 3, 4, 5].map(i => `data_batch_${i}.bin`);

let directory: string;

/** One record: the label, then 1,024 bytes each of red, green and blue. */
function record(label: number, red: number, green: number, blue: number): Buffer {
  const planes = [red, green, blue].map(value => Buffer.alloc(1024, value));
  return Buffer.concat([Buffer.from([label]), ...planes]);
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cifar10-'));
  for (const [i, name] of trainFiles.entries()) {
    await writeFile(
      join(directory, name),
      Buffer.concat([record(i, 1, 2, 3), record(9, 4, 5, 6)]),
    );
  }
  await writeFile(join(directory, 'test_batch.bin'), record(7, 10, 20, 30));
});

afterEach(() => rm(directory, {recursive: true}));

const error = async () => {
  const reason = await loadCifar10(directory).catch(reason => reason);
  expect(reason).toBeInstanceOf(DatasetError);
  expect(reason.message).not.toContain('\n');
  return reason.message as string;
};

describe('loadCifar10', () => {
  it('reads the labels of five training files and the test file, in order', async () => {
    const {train, test} = await loadCifar10(directory);
    expect([...train.labels]).toEqual([0, 9, 1, 9, 2, 9, 3, 9, 4, 9]);
    expect([...test.labels]).toEqual([7]);
  });

  it('turns planes of colour into pixels of three channels', async () => {
    const planes = record(7, 10, 20, 30);
    planes[1 + 33] = 111; // Red of row 1, column 1.
    planes[1 + 2048 + 1023] = 222; // Blue of the last pixel.
    await writeFile(join(directory, 'test_batch.bin'), planes);
    const {test, imageShape} = await loadCifar10(directory);
    expect(imageShape).toEqual([32, 32, 3]);
    expect(test.pixels.length).toBe(3072);
    expect([...test.pixels.subarray(0, 6)]).toEqual([10, 20, 30, 10, 20, 30]);
    expect([...test.pixels.subarray(33 * 3, 34 * 3)]).toEqual([111, 20, 30]);
    expect([...test.pixels.subarray(-3)]).toEqual([10, 20, 222]);
  });

  it('names a missing file', async () => {
    await rm(join(directory, 'data_batch_3.bin'));
    expect(await error()).toMatch(/data_batch_3\.bin: no such file or directory/);
  });

  it('names a folder that is not there', async () => {
    await expect(loadCifar10(join(directory, 'nowhere'))).rejects.toThrow(
      /nowhere.*data_batch_1\.bin: no such file or directory/,
    );
  });

  it.each([
    ['empty', Buffer.alloc(0), 0],
    ['truncated', record(1, 0, 0, 0).subarray(0, 3000), 3000],
    ['too long', Buffer.alloc(3074), 3074],
  ])('rejects a file that is %s', async (_name, content, length) => {
    await writeFile(join(directory, 'test_batch.bin'), content);
    expect(await error()).toMatch(
      new RegExp(`test_batch\\.bin .*multiple of 3073 bytes, received ${length}\\.`),
    );
  });

  it('rejects a label above 9 and says where it is', async () => {
    const content = Buffer.concat([record(9, 0, 0, 0), record(10, 0, 0, 0)]);
    await writeFile(join(directory, 'data_batch_2.bin'), content);
    expect(await error()).toMatch(
      /data_batch_2\.bin .*from 0 to 9, received 10 in record 1/,
    );
  });
});
