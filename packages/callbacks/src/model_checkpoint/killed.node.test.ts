/**
 * Programs that save checkpoints and are killed, or run out of disk. CHECKPOINT_KILLS is the
 * number of kills, 20 by default; there are more if none of these hit a write.
 */
import {execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, readdirSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import {setTimeout} from 'node:timers/promises';

import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-layers';

import {bundleProgram} from '../../test/bundle_program';
import {batchOf, bitsOf, makeModel} from '../../test/checkpointed_training';
import {resume} from '../node';

const kills = Number(process.env.CHECKPOINT_KILLS ?? 20);
const folder = mkdtempSync(join(tmpdir(), 'checkpoint-'));
const program = join(folder, 'program.cjs');

beforeAll(async () => {
  // No advice on faster backends.
  tf.enableProdMode();
  await tf.setBackend('cpu');
  bundleProgram('checkpoint_program.ts', program);
});

afterAll(() => rmSync(folder, {recursive: true}));

/** Lets the program train for a random time after its first step, and kills it. */
async function trainAndKill(path: string): Promise<void> {
  const child = spawn(process.execPath, [program, 'train', path], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const errors = text(child.stderr);
  const exit = once(child, 'exit');
  await Promise.race([once(child.stdout, 'data'), exit]);
  await setTimeout(Math.random() * 150);
  child.kill('SIGKILL');
  const [code, signal] = await exit;
  expect({code, signal, errors: await errors}).toEqual({
    code: null,
    signal: 'SIGKILL',
    errors: '',
  });
}

/** The same training, never stopped: the weights after a step. */
function neverStopped(): (step: number) => Promise<string> {
  const model = makeModel();
  const after: string[] = [];
  return async step => {
    if (after.length === 0) after.push(await bitsOf(model));
    while (after.length <= step) {
      const {xs, ys} = batchOf(after.length - 1);
      await model.trainOnBatch(xs, ys);
      tf.dispose([xs, ys]);
      after.push(await bitsOf(model));
    }
    return after[step];
  };
}

test('killed time and again, it goes on as if it never was', async () => {
  const warn = jest.spyOn(console, 'warn');
  const path = join(folder, 'killed');
  const expected = neverStopped();
  let inTheMidst = 0;
  let last = 0;
  let done = 0;
  for (; done < kills || (inTheMidst === 0 && done < 10 * kills); done++) {
    await trainAndKill(path);
    inTheMidst += Number(readdirSync(path).some(name => name.startsWith('.')));
    const {model, optimizer, step} = await resume(path);
    expect(step).toBeGreaterThan(last);
    last = step;
    expect(await bitsOf(model)).toBe(await expected(step));
    const {xs, ys} = batchOf(step);
    await model.trainOnBatch(xs, ys);
    expect(await bitsOf(model)).toBe(await expected(step + 1));
    tf.dispose([xs, ys]);
    model.dispose();
    optimizer.dispose();
  }
  // A warning would be of a checkpoint that is not whole.
  expect(warn).not.toHaveBeenCalled();
  warn.mockRestore();
  expect(inTheMidst).toBeGreaterThan(0);
  process.stdout.write(
    `killed ${done} times, ${inTheMidst} of them while a checkpoint was being written or ` +
      `removed; ${last} steps trained\n`,
  );
}, 1_200_000);

/** The command that runs another with a small disk of its own; undefined if none may. */
function withSmallDisk(path: string): string[] | undefined {
  const mount = `mount -t tmpfs -o size=512k tmpfs '${path}' && exec "$@"`;
  const asUser = ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', mount];
  const asRoot = ['unshare', '--mount', 'sh', '-c', mount];
  return [asRoot, asUser].find(([command, ...args]) => {
    try {
      execFileSync(command, [...args, 'sh', 'true'], {stdio: 'ignore'});
      return true;
    } catch {
      return false;
    }
  });
}

const fullDisk = mkdtempSync(join(folder, 'full-'));
const smallDisk = withSmallDisk(fullDisk);
const title = 'a full disk ends the training, and the last checkpoint is whole';
// The name says why it is skipped.
const name = smallDisk ? title : `${title} (no disk may be mounted here)`;
(smallDisk ? test : test.skip)(name, () => {
  const [command, ...args] = smallDisk!;
  const all = [...args, 'sh', process.execPath, program, 'fill', fullDisk];
  const output = execFileSync(command, all, {encoding: 'utf8'});
  const {message, files, checkpoint, step} = JSON.parse(output);
  const newest = files.sort().at(-1);
  expect(message).toMatch(
    `ModelCheckpoint: '${fullDisk}' can't be given the checkpoint of epoch `,
  );
  expect(message).toMatch(
    `: no space is left on the disk (ENOSPC). The last good checkpoint is ${newest}`,
  );
  expect(checkpoint).toBe(join(fullDisk, newest));
  expect(step).toBeGreaterThan(0);
  expect(files.every((name: string) => name.startsWith('checkpoint-'))).toBe(true);
});
