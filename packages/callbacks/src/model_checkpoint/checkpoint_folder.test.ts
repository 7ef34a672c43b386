/** What happens if files fail to be written, or are damaged later. */
import {appendFile, readdir, readFile, rm, truncate, writeFile} from 'node:fs/promises';
import {join} from 'node:path';

import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {fit, nameOf, useFolder} from '../../testing/checkpoint_folder';
import {compile, denseModel, resBatchNorm} from '../../testing/models';
import {CheckpointError, hasCheckpoints, ModelCheckpoint, resume} from '../index';
import type {ModelCheckpointArgs} from '../index';

/** Fails the n-th call from now that writes something, with the code; null: none. */
let fault: {callsLeft: number; code: string} | null = null;

/** Whether folders can't be removed. */
let keepsAll = false;

function failIfDue(): void {
  if (fault === null || fault.callsLeft-- > 0) return;
  const {code} = fault;
  throw Object.assign(new Error(`${code}: something, write`), {code});
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
      if (keepsAll) throw Object.assign(new Error('EPERM: a, b'), {code: 'EPERM'});
      return fs.rm(path, options);
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
        sync: failing(() => file.sync()),
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
  keepsAll = false;
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

  test('to remove an old checkpoint leaves none that is half there', async () => {
    const model = compile(denseModel());
    const checkpoint = checkpointWith({keep: 1});
    await checkpoint.save(model, {epoch: 0, step: 0});
    keepsAll = true;
    await expect(checkpoint.save(model, {epoch: 0, step: 1})).rejects.toThrow(
      `ModelCheckpoint: '${folder()}' can't be freed of old checkpoints: permission is denied ` +
        `(EPERM). The last good checkpoint is ${nameOf(2)}`,
    );
    keepsAll = false;
    expect(await readdir(folder())).toEqual([`.${nameOf(1)}.tmp`, nameOf(2)]);
    await fit((await resume(folder())).model, [checkpointWith()]);
    expect(await readdir(folder())).toEqual([nameOf(2), nameOf(3)]);
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
