/** Finds a Python with Keras, and one with PyTorch, and opens them. */
import {execFile} from 'node:child_process';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {promisify} from 'node:util';

import {packageDirectory} from '../package_directory.cjs';
import {type Library, openPythonChannel} from './python_channel.js';
import {AbsentError, type Channel, type Opened} from './requests.js';

export interface Peer extends Channel {
  library: Library;
  opened: Opened;
}

const packageOf: Record<Library, string> = {Keras: 'keras tensorflow', PyTorch: 'torch'};

/**
 * Opens the library with the first of the Pythons that has it.
 *
 * @throws AbsentError if none has.
 */
export async function openPeer(
  library: Library,
  device: 'cpu' | 'gpu',
  pythons: readonly string[],
  open = openPythonChannel,
): Promise<Peer> {
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
    `${reasons.join('; ')}. Install it (\`pip install ${packageOf[library]}\`), or name a ` +
      'Python that has it with --python.',
  );
}

/** Where Keras and PyTorch may be: the Python that the native backend was set up with, first. */
export async function likelyPythons(): Promise<string[]> {
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
