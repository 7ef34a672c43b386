/** What happens if files fail to be written, or are damaged later. */
import {appendFile, readdir, readFile, rm, truncate, writeFile} from 'node:fs/promises';
import {join} from 'node:path';

import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {fit, nameOf, useFolder} from '../../test/checkpoint_folder';
import {compile, denseModel, resBatchNorm} from '../../test/models';
import {CheckpointError, hasCheckpoints, ModelCheckpoint, resume} from '../node';
import type {ModelCheckpointArgs} from '../node';

/** Fails the n-th call from now that writes something, with the code; null: none. */
let fault: {callsLeft: number; code: string} | null = null;

/** The calls that can't remove a folder. */
let keeping: ('rm' | 'rmdir')[] = [];

/** What happens just before a file is read. */
let beforeReading: (path: string) => Promise<unknown> = async () => {};

/** The files and folders that were flushed to the disk. */
let flushed: string[] = [];

function failIfDue(): void {
  if (fault === null || fault.callsLeft-- > 0) return;
  const {code} = fault;
  throw Object.assign(new Error(`${code}: something, write`), {code});
}

function failIfKept(call: 'rm' | 'rmdir'): void {
  if (keeping.includes(call))
    throw Object.assign(new Error('EPERM: a, b'), {code: 'EPERM'});
}

jest.mock('node:fs/promises', () => {
  const fs = jest.requireActual('node:fs/promises');
  const failing =
    <Args extends unknown[]>(call: (...args: Args) => Promise<unknown>) =>
    async (...args: Args) => {
      failIfDue();
      return call(...args);
    };
  return {
    ...fs,
    mkdir: failing(fs.mkdir),
    rename: failing(fs.rename),
    rm: async (path: string, options: object) => {
      failIfKept('rm');
      return fs.rm(path, options);
    },
    rmdir: async (path: string) => {
      failIfKept('rmdir');
      return fs.rmdir(path);
    },
    readFile: async (path: string, ...args: unknown[]) => {
      await beforeReading(path);
      return fs.readFile(path, ...args);
    },
    open: failing(async (path: string, flags: string) => {
      const file = await fs.open(path, flags);
      return {
        writeFile: async (content: string | Uint8Array) => {
          try {
            failIfDue();
          } catch (error) {
            // A disk takes what it can.
            await file.writeFile(content.slice(0, content.length / 2));
            throw error;
          }
          return file.writeFile(content);
        },
        sync: failing(() => {
          flushed.push(path);
          return file.sync();
        }),
        close: () => file.close(),
      };
    }),
  };
});

const folder = useFolder();

function checkpointWith(args: Partial<ModelCheckpointArgs> = {}): ModelCheckpoint {
  return new ModelCheckpoint({path: folder(), ...args});
}

let warn: jest.SpyInstance;

beforeEach(() => {
  warn = jest.spyOn(console, 'warn').mockImplementation();
});

afterEach(() => {
  fault = null;
  keeping = [];
  beforeReading = async () => {};
  flushed = [];
  warn.mockRestore();
});

describe('a damaged checkpoint', () => {
  beforeEach(async () => {
    await fit(compile(denseModel(resBatchNorm())), [checkpointWith()], {epochs: 2});
    expect(await hasCheckpoints(folder())).toBe(true);
  });

  async function flipBit(file: string, bit: number): Promise<void> {
    const at = join(folder(), nameOf(2), file);
    const bytes = await readFile(at);
    bytes[bit >> 3] ^= 1 << (bit & 7);
    await writeFile(at, bytes);
  }

  const files = ['checkpoint.json', 'model.json', 'optimizer.bin', 'weights.bin'];

  test.each(files)('with a bit flipped in %s', async file => {
    const size = (await readFile(join(folder(), nameOf(2), file))).length;
    for (const bit of [0, 4 * size, 8 * size - 1]) {
      await flipBit(file, bit);
      expect((await resume(folder())).epoch).toBe(1);
      expect(warn).toHaveBeenLastCalledWith(
        `resume: ${join(folder(), nameOf(2))} is damaged: what is in ${file} does not have the ` +
          `checksum in SHA256SUMS. In its place ${nameOf(1)} is loaded.`,
      );
      await flipBit(file, bit);
    }
    expect((await resume(folder())).epoch).toBe(2);
  });

  test('with any bit flipped in SHA256SUMS', async () => {
    const size = (await readFile(join(folder(), nameOf(2), 'SHA256SUMS'))).length;
    for (let bit = 0; bit < 8 * size; bit += 37) {
      await flipBit('SHA256SUMS', bit);
      const {epoch, model, optimizer} = await resume(folder());
      expect(epoch).toBe(1);
      model.dispose();
      optimizer.dispose();
      await flipBit('SHA256SUMS', bit);
    }
  });

  test.each([...files, 'SHA256SUMS'])('with %s cut short, longer or gone', async file => {
    const at = join(folder(), nameOf(2), file);
    const bytes = await readFile(at);
    await truncate(at, bytes.length - 1);
    expect((await resume(folder())).epoch).toBe(1);
    await writeFile(at, bytes);
    await appendFile(at, '\n');
    expect((await resume(folder())).epoch).toBe(1);
    await rm(at);
    expect((await resume(folder())).epoch).toBe(1);
    expect(warn).toHaveBeenLastCalledWith(
      `resume: ${join(folder(), nameOf(2))} is damaged: ${file} can't be read: it is missing ` +
        `(ENOENT). In its place ${nameOf(1)} is loaded.`,
    );
  });

  test('and all the others, too', async () => {
    await rm(join(folder(), nameOf(1), 'weights.bin'));
    await flipBit('model.json', 9);
    await expect(resume(folder())).rejects.toThrow(
      `resume: no checkpoint in '${folder()}' is whole:\n` +
        `  ${join(folder(), nameOf(2))} is damaged: what is in model.json does not have the ` +
        'checksum in SHA256SUMS\n' +
        `  ${join(folder(), nameOf(1))} is damaged: weights.bin can't be read: it is missing (ENOENT)`,
    );
  });
});

test('a checkpoint that is damaged is not counted among those to keep', async () => {
  const model = compile(denseModel());
  await fit(model, [checkpointWith()], {epochs: 2});
  await truncate(join(folder(), nameOf(2), 'weights.bin'), 1);
  const resumed = await resume(folder());
  expect(resumed.epoch).toBe(1);
  const checkpoint = checkpointWith({keep: 2});
  await fit(resumed.model, [checkpoint], {epochs: 2, initialEpoch: 1});
  expect(await readdir(folder())).toEqual([1, 2, 3].map(nameOf));
  await checkpoint.save(resumed.model, {epoch: 3, step: 9});
  expect(await readdir(folder())).toEqual([3, 4].map(nameOf));
});

describe('while a training goes on', () => {
  /** Does it once, when a file of the checkpoint is about to be read. */
  function beforeReadingOf(name: string, act: () => Promise<unknown>): void {
    beforeReading = async path => {
      if (!path.includes(name)) return;
      beforeReading = async () => {};
      await act();
    };
  }

  test('the newest one may be removed before it is read', async () => {
    const model = compile(denseModel());
    const checkpoint = checkpointWith({keep: 1});
    await checkpoint.save(model, {epoch: 1, step: 3});
    beforeReadingOf(nameOf(1), () => checkpoint.save(model, {epoch: 2, step: 6}));
    expect((await resume(folder())).epoch).toBe(2);
    expect(warn).not.toHaveBeenCalled();
  });

  test('and so may the best one', async () => {
    const model = compile(denseModel());
    const checkpoint = checkpointWith({keep: 1});
    const save = (epoch: number, val_loss: number) =>
      checkpoint.save(model, {epoch, step: 3 * epoch, logs: {val_loss}});
    await save(1, 0.5);
    await save(2, 0.7);
    beforeReadingOf(nameOf(1), () => save(3, 0.1));
    expect((await resume(folder(), {which: 'best'})).epoch).toBe(3);
    expect(warn).not.toHaveBeenCalled();
  });
});

test('a file in the place of the folder is an error that says so', async () => {
  const file = join(folder(), 'file');
  await writeFile(file, '');
  const message = `: '${file}' can't be read: a part of the path is not a folder (ENOTDIR)`;
  for (const [name, act] of Object.entries({resume, hasCheckpoints})) {
    const error = await act(file).then(
      () => null,
      reason => reason,
    );
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toBe(name + message);
  }
});

test('the folders that are made for it are flushed to the disk', async () => {
  const path = join(folder(), 'runs', 'first');
  await checkpointWith({path}).save(compile(denseModel()), {epoch: 0, step: 0});
  expect(flushed.slice(0, 2).sort()).toEqual([folder(), join(folder(), 'runs')]);
});

test('what a process that was killed has left is removed', async () => {
  const model = compile(denseModel());
  // As if it was killed then.
  keeping = ['rmdir'];
  await expect(fit(model, [checkpointWith()])).rejects.toThrow(
    `ModelCheckpoint: '${folder()}' can't be used for checkpoints: permission is denied`,
  );
  keeping = [];
  expect(await readdir(folder())).toHaveLength(1);
  await fit(model, [checkpointWith()]);
  expect(await readdir(folder())).toEqual([nameOf(1)]);
});

describe('a disk that fails', () => {
  test('at any call leaves the last good checkpoint, and nothing half-written', async () => {
    const model = compile(denseModel(resBatchNorm()));
    const checkpoint = checkpointWith({keep: 99});
    await checkpoint.save(model, {epoch: 0, step: 0});
    let failures = 0;
    for (let calls = 0; ; calls++) {
      const before = await readdir(folder());
      fault = {callsLeft: calls, code: 'ENOSPC'};
      const error = await checkpoint.save(model, {epoch: 0, step: 1}).then(
        () => null,
        reason => reason,
      );
      fault = null;
      if (error === null) break;
      failures += 1;
      expect(error).toBeInstanceOf(CheckpointError);
      const after = await readdir(folder());
      expect(error.message).toBe(
        `ModelCheckpoint: '${folder()}' can't be given the checkpoint of epoch 0, step 1: no ` +
          `space is left on the disk (ENOSPC). The last good checkpoint is ${after.at(-1)}`,
      );
      // The name may not have reached the disk, where the last call is what failed.
      expect(after.slice(0, before.length)).toEqual(before);
      expect(after.every(file => file.startsWith('checkpoint-'))).toBe(true);
      const {model: loaded, optimizer} = await resume(folder());
      loaded.dispose();
      optimizer.dispose();
    }
    // mkdir, rename; open and sync of two folders; open, write and sync of five files.
    expect(failures).toBe(2 + 2 * 2 + 3 * 5);
    expect(warn).not.toHaveBeenCalled();
  });

  test('to remove old checkpoints ends no training, and leaves none half there', async () => {
    const model = compile(denseModel());
    keeping = ['rm'];
    await fit(model, [checkpointWith({keep: 1})], {epochs: 3});
    const warningOf = (path: string) =>
      `ModelCheckpoint: ${join(folder(), path)} can't be removed: permission is denied ` +
      '(EPERM). It takes up room, and so may others, of which there is no warning. The ' +
      'training goes on.';
    expect(warn.mock.calls).toEqual([[warningOf(nameOf(1))]]);
    const left = [1, 2].map(n => `.${nameOf(n)}.tmp`);
    expect(await readdir(folder())).toEqual([...left, nameOf(3)]);
    await fit(model, [checkpointWith()]);
    expect(warn.mock.calls.slice(1)).toEqual([[warningOf(left[0])]]);
    keeping = [];
    await fit(model, [checkpointWith()]);
    expect(await readdir(folder())).toEqual([3, 4, 5].map(nameOf));
  });

  test('ends the training without a leak', async () => {
    const model = compile(denseModel(resBatchNorm()));
    await fit(model, []);
    const {numTensors} = tf.memory();
    const checkpoint = checkpointWith({everySteps: 1});
    class Fault extends tfl.Callback {
      override async onBatchBegin(batch: number): Promise<void> {
        if (batch === 1) fault = {callsLeft: 5, code: 'EROFS'};
      }
    }
    await expect(fit(model, [new Fault(), checkpoint], {epochs: 9})).rejects.toThrow(
      `ModelCheckpoint: '${folder()}' can't be given the checkpoint of epoch 0, step 2: the ` +
        `file system can only be read (EROFS). The last good checkpoint is ${nameOf(1)}`,
    );
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(model.optimizer.iterations).toBe(3 + 2);
  });
});
