/** Finds a Python that TensorFlow can be installed with, or that has it. */
import {NativeError} from './native_error.js';
import {runProcess} from './run_process.js';
import {defaultTensorFlowVersion} from './tensorflow_installation.js';
import {isAtLeast} from './versions.js';

export interface Python {
  /** The command or path by which it was found. */
  command: string;
  executable: string;
  version: string;
  /** Whether it can make virtual environments with pip in them. */
  hasVenv: boolean;
  /** The TensorFlow it has. */
  tensorflow?: {version: string; directory: string};
}

const oldestPython = '3.9';
// TensorFlow 2.20 has no pip package for a newer one.
const newestPython = '3.13';
const commands = ['python3', 'python3.13', 'python3.12', 'python3.11', 'python3.10'];

const installPython =
  `Install Python ${oldestPython} to ${newestPython} with its venv module ` +
  '(Debian and Ubuntu: `apt install python3-venv`), or name one with --python.';

// Does not import TensorFlow: that takes seconds.
const inspection = `
import importlib.metadata, importlib.util, json, os, platform, sys
def version():
    for name in ('tensorflow', 'tensorflow-cpu', 'tensorflow-cpu-aws'):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
spec = importlib.util.find_spec('tensorflow')
has_tensorflow = spec is not None and spec.origin is not None and version() is not None
print(json.dumps({
    'executable': sys.executable,
    'version': platform.python_version(),
    'hasVenv': all(importlib.util.find_spec(m) for m in ('venv', 'ensurepip')),
    'tensorflow': {'version': version(), 'directory': os.path.dirname(spec.origin)}
        if has_tensorflow else None,
}))
`;

/** Undefined if the command is no Python. */
export async function inspectPython(command: string): Promise<Python | undefined> {
  const {ok, stdout} = await runProcess(command, ['-c', inspection], {timeoutMs: 30_000});
  if (!ok) return undefined;
  try {
    const {tensorflow, ...facts} = JSON.parse(stdout);
    return {...facts, command, tensorflow: tensorflow ?? undefined};
  } catch {
    return undefined;
  }
}

/** @throws NativeError if there is no Python, or none that fits. */
export async function findPython(
  requested: string | undefined,
  tensorflowVersion: string,
): Promise<Python> {
  if (requested !== undefined) {
    const python = await inspectPython(requested);
    if (!python) throw new NativeError(`${requested} is no Python 3.`, installPython);
    return python;
  }
  const found: Python[] = [];
  for (const command of commands) {
    const python = await inspectPython(command);
    if (!python) continue;
    if (!whyUnfit(python, tensorflowVersion)) return python;
    found.push(python);
  }
  if (found.length === 0) throw new NativeError('No Python was found.', installPython);
  throw new NativeError(
    found.map(python => whyUnfit(python, tensorflowVersion)).join(' '),
    installPython,
  );
}

/** Why a new environment for this TensorFlow cannot be made with a Python, if it cannot. */
export function whyUnfit(python: Python, tensorflowVersion: string): string | undefined {
  const name = `Python ${python.version} (${python.command})`;
  if (!isAtLeast(python.version, oldestPython)) {
    return `${name} is too old: TensorFlow ${tensorflowVersion} needs ${oldestPython} or newer.`;
  }
  const minor = python.version.split('.').slice(0, 2).join('.');
  if (tensorflowVersion === defaultTensorFlowVersion && !isAtLeast(newestPython, minor)) {
    return `${name} is too new: TensorFlow ${tensorflowVersion} needs ${newestPython} or older.`;
  }
  if (!python.hasVenv) return `${name} has no venv module.`;
  return undefined;
}

/** @throws NativeError as `whyUnfit` says. */
export function checkFitness(python: Python, tensorflowVersion: string): void {
  const problem = whyUnfit(python, tensorflowVersion);
  if (problem) throw new NativeError(problem, installPython);
}
