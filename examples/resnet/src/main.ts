#!/usr/bin/env node
/** The command: its exit codes, and errors in one line. */
import {parseOptions} from './options.js';
import {UsageError} from './usage_error.js';

const exitCodes = {done: 0, failed: 1, usage: 2, interrupted: 130};

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (!options) return exitCodes.done;
  // Only now: TensorFlow.js takes a while to load, and --help and errors need none of it.
  const {run} = await import('./run.js');
  return exitCodes[await run(options)];
}

function report(error: unknown): number {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`error: ${message}\n`);
  return error instanceof UsageError ? exitCodes.usage : exitCodes.failed;
}

void main()
  .catch(report)
  .then(code => {
    process.exitCode = code;
  });
