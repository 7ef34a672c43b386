/** `resbatchnorm-native run`: starts a program that uses TensorFlow. */
import {spawn} from 'node:child_process';
import {constants} from 'node:os';
import {dirname, join} from 'node:path';
import {pathToFileURL} from 'node:url';

import {packageDirectory} from '../package_directory.cjs';
import {pipLibraryDirectories, prependLibraryPath} from './cuda_libraries.js';
import {NativeError} from './native_error.js';
import {hasNodeFault} from './node_fault.js';
import {switchOneDnnOn} from './one_dnn.js';
import {readSetupRecord} from './setup_record.js';
import {requireTfjsNode} from './tfjs_node.js';

const passedOn: NodeJS.Signals[] = ['SIGTERM', 'SIGHUP', 'SIGUSR2'];
// The terminal sends these to the program as well as to this process.
const sentByTerminal: NodeJS.Signals[] = ['SIGINT', 'SIGQUIT'];

/**
 * Runs a program to its end and returns its exit code. If a signal ends it, the code is 128
 * and the signal's number, as in a shell.
 *
 * @throws NativeError if `setup` did not run, or the program cannot be started.
 */
export function runProgram(command: string, args: string[]): Promise<number> {
  const tfjsNode = requireTfjsNode();
  const record = readSetupRecord(tfjsNode.addonFile);
  if (!record) {
    throw new NativeError(
      `The addon of ${tfjsNode.name} in ${tfjsNode.directory} was not built by setup.`,
      'Run `npx resbatchnorm-native setup` first.',
    );
  }
  const env = programEnvironment(
    process.env,
    pipLibraryDirectories(dirname(record.tensorflowDirectory)),
    hasNodeFault() ? join(packageDirectory, 'dist', 'register.js') : undefined,
  );
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {stdio: 'inherit', env});
    const passOn = (signal: NodeJS.Signals) => child.kill(signal);
    for (const signal of passedOn) process.on(signal, passOn);
    const onTerminalSignal = (signal: NodeJS.Signals) => {
      if (!process.stdin.isTTY) child.kill(signal);
    };
    for (const signal of sentByTerminal) process.on(signal, onTerminalSignal);
    child.on('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'ENOENT' ? 'there is no such program' : error.message;
      reject(
        new NativeError(
          `${command} cannot be started: ${reason}.`,
          'Check the command after `run --`.',
        ),
      );
    });
    child.on('close', (code, signal) => {
      for (const name of passedOn) process.off(name, passOn);
      for (const name of sentByTerminal) process.off(name, onTerminalSignal);
      resolve(code ?? 128 + constants.signals[signal!]);
    });
  });
}

/** What the program gets: the CUDA libraries, oneDNN, and the cure for Node 23 and newer. */
export function programEnvironment(
  env: NodeJS.ProcessEnv,
  libraryDirectories: string[],
  registerFile?: string,
): NodeJS.ProcessEnv {
  const result = {...env};
  switchOneDnnOn(result);
  if (libraryDirectories.length > 0) {
    result.LD_LIBRARY_PATH = prependLibraryPath(libraryDirectories, env.LD_LIBRARY_PATH);
  }
  if (registerFile) {
    const option = `--import=${pathToFileURL(registerFile).href}`;
    result.NODE_OPTIONS = [env.NODE_OPTIONS, option].filter(Boolean).join(' ');
  }
  return result;
}
