/** Finds the Chromium of this machine. */
import {accessSync, constants, statSync} from 'node:fs';
import path from 'node:path';

/** Why there is no Chromium to run in; the message says what to do. */
export class ChromiumError extends Error {
  override readonly name = 'ChromiumError';
}

const programs = [
  'chromium',
  'chromium-browser',
  'google-chrome-stable',
  'google-chrome',
];

/**
 * The path of the program that the environment variable CHROME_BIN names, or else of the
 * first of chromium, chromium-browser, google-chrome-stable and google-chrome on the PATH;
 * null if there is none.
 *
 * @throws ChromiumError if CHROME_BIN does not name a program.
 */
export function findChromium(env: NodeJS.ProcessEnv = process.env): string | null {
  const {CHROME_BIN: named, PATH: folders = ''} = env;
  if (named) {
    if (isProgram(named)) return named;
    throw new ChromiumError(
      `CHROME_BIN must be the path of a Chromium or Chrome. Received: ${named}, where no program is.`,
    );
  }
  const candidates = programs.flatMap(program =>
    folders
      .split(path.delimiter)
      .filter(Boolean)
      .map(folder => path.join(folder, program)),
  );
  return candidates.find(isProgram) ?? null;
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
