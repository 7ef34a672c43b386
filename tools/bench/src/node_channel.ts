/** A Node process that measures on a backend. */
import {fork} from 'node:child_process';
import {once} from 'node:events';
import {join} from 'node:path';

import {packageDirectory} from '../package_directory.cjs';
import type {BackendName} from './backends.js';
import {answerOf, type Channel, type Reply} from './requests.js';

const defaultWorker = join(packageDirectory, 'dist', 'worker.js');
const keptLogLength = 2000;

/** TensorFlow, in each process with it, as one of several on the device. */
export function deviceEnv(device: 'cpu' | 'gpu'): NodeJS.ProcessEnv {
  return device === 'gpu'
    ? // It would take all the memory at once.
      {TF_FORCE_GPU_ALLOW_GROWTH: 'true'}
    : {CUDA_VISIBLE_DEVICES: '-1'};
}

export function openNodeChannel(
  backend: BackendName,
  workerFile = defaultWorker,
): Channel {
  const child = fork(workerFile, {
    silent: true,
    execArgv: ['--expose-gc'],
    env: {
      ...process.env,
      ...(backend === 'tensorflow' && deviceEnv('cpu')),
      ...(backend === 'tensorflow-gpu' && deviceEnv('gpu')),
    },
  });
  let log = '';
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', text => {
      log = (log + text).slice(-keptLogLength);
    });
  }
  const end = new Promise<never>((_, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const lastLine = log.trim().split('\n').at(-1);
      reject(
        new Error(
          `The process ended with ${signal ?? `exit code ${code}`}` +
            `${lastLine ? `; its last line: ${lastLine}` : ''}.`,
        ),
      );
    });
  });
  // Whoever waits for a reply hears of it; after the last one the end is no failure.
  end.catch(() => {});
  return {
    async ask(name, args) {
      const reply = new Promise<Reply>(resolve =>
        child.once('message', resolve as never),
      );
      if (child.connected) child.send({name, args});
      return answerOf(await Promise.race([reply, end])) as never;
    },
    async close() {
      if (!child.connected) return;
      // Not 'close', which a child that is disconnected from here does not emit.
      const exit = once(child, 'exit');
      child.disconnect();
      await exit;
    },
  };
}
