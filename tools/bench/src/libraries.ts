/** Keras and PyTorch: found in a Python, opened once for a device, kept for all backends on it. */
import {execFile} from 'node:child_process';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {promisify} from 'node:util';

import {AbsentError} from '@resbatchnorm/tools-common/device';

import {packageDirectory} from '../package_directory.cjs';
import {type Library, openPythonChannel} from './channels.js';
import type {Channel, Opened} from './requests.js';

/** The packages of Python to install. */
const packagesOf: Record<Library, string> = {
  Keras: 'keras tensorflow',
  PyTorch: 'torch',
};

export interface OpenLibrary extends Channel {
  library: Library;
  opened: Opened;
}

export class Libraries {
  private readonly opened = new Map<'cpu' | 'gpu', Promise<OpenLibrary[]>>();
  /** What is left out, and why. */
  readonly notes: string[] = [];

  /** `pythons`: where to look for them; undefined for where they may be. */
  constructor(
    private readonly pythons: readonly string[] | undefined,
    private readonly open = openLibrary,
  ) {}

  /** Those that are there. */
  on(device: 'cpu' | 'gpu'): Promise<OpenLibrary[]> {
    let libraries = this.opened.get(device);
    if (!libraries) {
      libraries = this.openAll(device);
      this.opened.set(device, libraries);
    }
    return libraries;
  }

  private async openAll(device: 'cpu' | 'gpu'): Promise<OpenLibrary[]> {
    const pythons = this.pythons ?? (await likelyPythons());
    const libraries: OpenLibrary[] = [];
    for (const library of Object.keys(packagesOf) as Library[]) {
      try {
        libraries.push(await this.open(library, device, pythons));
      } catch (error) {
        if (!(error instanceof AbsentError)) throw error;
        this.notes.push(
          `${library} on ${device.toUpperCase()} is left out: ${error.message}`,
        );
      }
    }
    return libraries;
  }

  /** Of all that were opened. */
  async versions(): Promise<Record<string, string>> {
    const versions = (await this.all()).map(({library, opened}) =>
      Object.entries(opened.versions).map(([name, version]) => [
        name === library ? name : `${name} of ${library}`,
        version,
      ]),
    );
    return Object.fromEntries(versions.flat());
  }

  /** Of those that can do without it. */
  async usesOneDnn(): Promise<Record<string, boolean>> {
    const uses = (await this.all()).flatMap(({library, opened: {usesOneDnn}}) =>
      usesOneDnn === undefined ? [] : [[library, usesOneDnn] as const],
    );
    return Object.fromEntries(uses);
  }

  async close(): Promise<void> {
    for (const library of await this.all()) await library.close();
  }

  private async all(): Promise<OpenLibrary[]> {
    const libraries = [...this.opened.values()].map(opening => opening.catch(() => []));
    return (await Promise.all(libraries)).flat();
  }
}

/**
 * Opens the library with the first of the Pythons that has it.
 *
 * @throws AbsentError if none has.
 */
export async function openLibrary(
  library: Library,
  device: 'cpu' | 'gpu',
  pythons: readonly string[],
  open = openPythonChannel,
): Promise<OpenLibrary> {
  const reasons: string[] = [];
  for (const python of pythons) {
    const channel = open(python, library, device);
    try {
      const opened = await channel.ask('open', {device});
      return {...channel, library, opened};
    } catch (error) {
      await channel.close();
      const message = (error as Error).message.replace(/\.$/, '');
      reasons.push(error instanceof AbsentError ? `${python}: ${message}` : message);
    }
  }
  throw new AbsentError(
    `${reasons.join('; ')}. Install it (\`pip install ${packagesOf[library]}\`), or name a ` +
      'Python that has it with --python.',
  );
}

/** Where Keras and PyTorch may be: the Python that the native backend was set up with, first. */
async function likelyPythons(): Promise<string[]> {
  const python = await pythonOfSetup();
  return [...(python === undefined ? [] : [python]), 'python3'];
}

async function pythonOfSetup(): Promise<string | undefined> {
  const require = createRequire(join(packageDirectory, 'package.json'));
  const manifest = require.resolve('@resbatchnorm/native/package.json');
  const program = join(dirname(manifest), require(manifest).bin['resbatchnorm-native']);
  const doctor = promisify(execFile)(process.execPath, [program, 'doctor', '--json']);
  // Its exit code tells of problems; what it prints is there all the same.
  const {stdout} = await doctor.catch(error => error as {stdout?: string});
  try {
    return JSON.parse(stdout ?? '').record?.python;
  } catch {
    return undefined;
  }
}
