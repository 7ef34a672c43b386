/** A Python that measures Keras or PyTorch. */
import {spawn} from 'node:child_process';
import {join} from 'node:path';
import {createInterface} from 'node:readline';

import {packageDirectory} from '../package_directory.cjs';
import {deviceEnv} from './node_channel.js';
import {answerOf, type Channel, type Reply} from './requests.js';

export type Library = 'Keras' | 'PyTorch';

const keptLogLength = 2000;

export function openPythonChannel(
  python: string,
  library: Library,
  device: 'cpu' | 'gpu',
): Channel {
  const script = join(packageDirectory, 'python', `${library.toLowerCase()}_library.py`);
  const child = spawn(python, [script], {
    env: {TF_CPP_MIN_LOG_LEVEL: '1', ...process.env, ...deviceEnv(device)},
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', text => {
    log = (log + text).slice(-keptLogLength);
  });
  const end = new Promise<never>((_, reject) => {
    const fail = (what: string) => {
      const lastLine = log.trim().split('\n').at(-1);
      reject(
        new Error(
          `${library}, run by ${python}, ${what}${lastLine ? `: ${lastLine}` : ''}.`,
        ),
      );
    };
    child.on('error', ({message}) => fail(`did not start (${message})`));
    child.on('close', (code, signal) =>
      fail(`ended with ${signal ?? `exit code ${code}`}`),
    );
  });
  // Whoever waits for a reply hears of it; after the last one the end is no failure.
  end.catch(() => {});
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
