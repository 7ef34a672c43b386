/**
 * What measures on a backend, each on the other side of a channel: a Node process, a page of
 * headless Chromium, or a Python with another library.
 */
import {type ChildProcess, fork, spawn} from 'node:child_process';
import {once} from 'node:events';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import type {Readable} from 'node:stream';

import {bundle, openChromium} from '@resbatchnorm/testing/chromium';
import {AbsentError} from '@resbatchnorm/tools-common/device';

import {packageDirectory} from '../package_directory.cjs';
import {
  answerOf,
  type BackendName,
  type Channel,
  type Opened,
  type Reply,
} from './requests.js';

const defaultWorker = join(packageDirectory, 'dist', 'worker.js');
const keptLogLength = 2000;

/** TensorFlow, in each process with it, as one of several on the device. */
function deviceEnv(device: 'cpu' | 'gpu'): NodeJS.ProcessEnv {
  return device === 'gpu'
    ? // It would take all the memory at once.
      {TF_FORCE_GPU_ALLOW_GROWTH: 'true'}
    : {CUDA_VISIBLE_DEVICES: '-1'};
}

/** Rejects when the process ends, with its name and the last line that it wrote. */
function endOf(child: ChildProcess, name: string, logs: readonly Readable[]) {
  let log = '';
  for (const stream of logs) {
    stream.setEncoding('utf8').on('data', text => {
      log = (log + text).slice(-keptLogLength);
    });
  }
  const end = new Promise<never>((_, reject) => {
    const fail = (what: string) => {
      const lastLine = log.trim().split('\n').at(-1);
      reject(
        new Error(`${name} ${what}${lastLine ? `; its last line: ${lastLine}` : ''}.`),
      );
    };
    child.on('error', ({message}) => fail(`did not start (${message})`));
    child.on('close', (code, signal) =>
      fail(`ended with ${signal ?? `exit code ${code}`}`),
    );
  });
  // Whoever waits for a reply hears of it; after the last one the end is not a failure.
  end.catch(() => {});
  return end;
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
  const end = endOf(child, 'The process', [child.stdout!, child.stderr!]);
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

/** On webgl or webgpu. @throws AbsentError if there is no Chromium. */
export async function openPageChannel(): Promise<Channel> {
  const files = await bundle({
    entries: {bench: join(packageDirectory, 'dist', 'page.js')},
  });
  const chromium = await openChromium(files).catch(throwAbsent);
  const page = await chromium.openPage();
  return {
    async ask(name, args) {
      const request = [name, args].map(value => JSON.stringify(value)).join(', ');
      const reply: Reply = await page.evaluate(
        `import('/bench.js').then(({reply}) => reply(${request}))`,
      );
      const answer = answerOf(reply);
      if (name === 'open') (answer as Opened).versions.Chromium = chromium.version;
      return answer as never;
    },
    close: () => chromium.close(),
  };
}

function throwAbsent(error: unknown): never {
  throw error instanceof Error && error.name === 'ChromiumError'
    ? new AbsentError(error.message)
    : error;
}

export type Library = 'Keras' | 'PyTorch';

export function openPythonChannel(
  python: string,
  library: Library,
  device: 'cpu' | 'gpu',
): Channel {
  const script = join(packageDirectory, 'python', `${library.toLowerCase()}_library.py`);
  const child = spawn(python, [script], {
    env: {TF_CPP_MIN_LOG_LEVEL: '1', ...process.env, ...deviceEnv(device)},
  });
  const end = endOf(child, `${library}, run by ${python},`, [child.stderr]);
  child.stdin.on('error', () => {});
  const lines = createInterface({input: child.stdout})[Symbol.asyncIterator]();
  return {
    async ask(name, args) {
      child.stdin.write(`${JSON.stringify({name, args})}\n`);
      const {value, done} = await Promise.race([lines.next(), end]);
      if (done) return end;
      return answerOf(JSON.parse(value) as Reply) as never;
    },
    async close() {
      child.stdin.end();
      await end.catch(() => {});
    },
  };
}
