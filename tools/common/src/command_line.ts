/**
 * What all commands of this repository have in common: options are checked before anything is
 * loaded, an error is one line, and exit code 2 tells a mistake of the user from a failure.
 */
import {mkdir, mkdtemp, open, rmdir} from 'node:fs/promises';
import {join} from 'node:path';
import {isNativeError} from 'node:util/types';

import {type Command, CommanderError, InvalidArgumentError} from 'commander';

export const exitCodes = {done: 0, failed: 1, usage: 2};

/** A mistake of the user: one line that says what to change. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Why something failed, short enough for an error of one line. */
export function reasonOf(error: unknown): string {
  const message = isNativeError(error) ? error.message : String(error);
  // Node's errors of the file system repeat the call and the path: `ENOENT: no such file or
  // directory, open '/data/test_batch.bin'`.
  const [, reason] = /^E[A-Z0-9]+: ([^,]+), /.exec(message) ?? [];
  return reason ?? message.split('\n')[0];
}

/** Runs a program. Its exit code is what `main` returns, or tells of the error. */
export function runProgram(main: () => Promise<number>): void {
  void main()
    .catch((error: unknown) => {
      const message = error instanceof Error ? error.message : String(error);
      process.stderr.write(`error: ${message}\n`);
      return error instanceof UsageError ? exitCodes.usage : exitCodes.failed;
    })
    .then(code => {
      process.exitCode = code;
    });
}

/**
 * Parses the arguments (without Node's and the program's path) of a command that takes options
 * only. Returns undefined where `--help` was asked for and has been shown.
 *
 * @throws UsageError if an option is unknown, incomplete or out of its range.
 */
export function parseOptions<Options extends object>(
  command: Command,
  args: readonly string[],
): Options | undefined {
  command
    .usage('[options]')
    .helpOption('-h, --help', 'show this help')
    .allowExcessArguments() // reported below, by name
    .exitOverride()
    .configureOutput({outputError: () => {}});
  try {
    command.parse(args, {from: 'user'});
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    throw new UsageError(error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' '));
  }
  const [extra] = command.args;
  if (extra !== undefined) throw new UsageError(`unexpected argument '${extra}'`);
  return command.opts<Options>();
}

/** Parses the value of an option. */
type Parser<T> = (text: string) => T;

export function wholeNumber(least: number, most: number): Parser<number> {
  return text => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(
        `Expected a whole number from ${least} to ${most.toLocaleString('en')}.`,
      );
    }
    return value;
  };
}

export function positiveNumber(most = Infinity): Parser<number> {
  return text => {
    const value = Number(text);
    const isInRange = Number.isFinite(value) && value > 0 && value <= most;
    if (text.trim() === '' || !isInRange) {
      const limit = most < Infinity ? `, at most ${most.toLocaleString('en')}` : '';
      throw new InvalidArgumentError(`Expected a number above 0${limit}.`);
    }
    return value;
  };
}

export function path(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('Expected a path.');
  return text;
}

/** For an option that is given one or more times. */
export function listOf<T>(parse: Parser<T>): (text: string, previous?: T[]) => T[] {
  return (text, previous = []) => [...previous, parse(text)];
}

/**
 * Makes the folder, and tries to write in it: when the work is done it would be too late. Files
 * that are there are left as they are.
 *
 * @throws UsageError that names `--out` as the user gave it.
 */
export async function checkWritable(
  out: string,
  {folder, files = []}: {folder: string; files?: readonly string[]},
): Promise<void> {
  try {
    await mkdir(folder, {recursive: true});
    // Permissions alone do not tell.
    await rmdir(await mkdtemp(join(folder, '.probe-')));
    for (const file of files) await (await open(file, 'a')).close();
  } catch (error) {
    throw new UsageError(`Cannot write to --out ${out}: ${reasonOf(error)}`);
  }
}
