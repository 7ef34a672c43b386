#!/usr/bin/env node
/** The command `npm start`. */
import {exitCodes, runProgram} from '@resbatchnorm/tools-common/command_line';

import {parseOptions} from './options.js';

const interrupted = 130;

runProgram(async () => {
  const options = parseOptions(process.argv.slice(2));
  if (!options) return exitCodes.done;
  // Only now: TensorFlow.js takes a while to load, and --help and errors need none of it.
  const {run} = await import('./run.js');
  return (await run(options)) === 'done' ? exitCodes.done : interrupted;
});
