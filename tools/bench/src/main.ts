#!/usr/bin/env node
/** The command: its exit codes, and errors in one line. */
import {parseOptions, UsageError} from './options.js';

const exitCodes = {done: 0, failed: 1, usage: 2};

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (!options) return exitCodes.done;
  // Only now: TensorFlow.js takes a while to load, and --help and errors need none of it.
  const {run} = await import('./run.js');
  return exitCodes[await run(options)];
}

main()
  .catch(error => {
    process.stderr.write(`error: ${error instanceof Error ? error.message : error}\n`);
    return error instanceof UsageError ? exitCodes.usage : exitCodes.failed;
  })
  .then(code => {
    process.exitCode = code;
  });
