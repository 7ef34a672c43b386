import {Worker} from 'node:worker_threads';

/**
 * Runs what keeps this thread in a C function, during which none of its timers comes. If that
 * takes too long, another thread says so and ends the process: by SIGKILL, as an exit would wait
 * for this thread.
 */
export function runWithin<T>(seconds: number, message: string, run: () => T): T {
  const watch = new Worker(END_LATER, {
    eval: true,
    workerData: {milliseconds: 1000 * seconds, message},
    // Nothing of the program, as what NODE_OPTIONS imports.
    execArgv: [],
    env: {},
  });
  try {
    return run();
  } finally {
    void watch.terminate();
  }
}

const END_LATER = `
  const {writeSync} = require('node:fs');
  const {workerData} = require('node:worker_threads');
  setTimeout(() => {
    writeSync(2, workerData.message + '\\n');
    process.kill(process.pid, 'SIGKILL');
  }, workerData.milliseconds);
`;
