/** Finds tfjs-node-gpu and tfjs-node where a project has them. */
import {existsSync, readFileSync, realpathSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';

import {packageDirectory} from '../package_directory.cjs';
import {NativeError} from './native_error.js';

// Both ship the same sources; over the same libtensorflow they run alike.
const packageNames = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'];

/** An installed tfjs-node-gpu or tfjs-node. */
export interface TfjsNode {
  name: string;
  version: string;
  directory: string;
  /** The file to `require`. */
  entry: string;
  /** Where the package looks for its native addon; it may be missing. */
  addonFile: string;
  /** The version of TensorFlow.js it loads. */
  tfjsVersion?: string;
}

interface Manifest {
  name: string;
  version: string;
  main: string;
  binary: {module_name: string; module_path: string; napi_versions: number[]};
}

/**
 * The package that a program in `startDirectories` gets: from the first directory that has
 * one, and there rather one with its addon than one without.
 */
export function findTfjsNode(
  startDirectories = defaultStartDirectories(),
): TfjsNode | undefined {
  for (const directory of startDirectories) {
    const found = packageNames
      .map(name => resolveFrom(directory, `${name}/package.json`))
      .filter(manifestFile => manifestFile !== undefined)
      .map(describe);
    if (found.length > 0) {
      return found.find(({addonFile}) => existsSync(addonFile)) ?? found[0];
    }
  }
  return undefined;
}

/** @throws NativeError if there is none. */
export function requireTfjsNode(startDirectories = defaultStartDirectories()): TfjsNode {
  const found = findTfjsNode(startDirectories);
  if (found) return found;
  throw new NativeError(
    `Neither ${packageNames.join(' nor ')} is installed where ${startDirectories[0]} ` +
      'would find it.',
    `${installCommand}, then \`npx resbatchnorm-native setup\`.`,
  );
}

const installCommand =
  'Run `npm install --ignore-scripts @tensorflow/tfjs-node-gpu@4.22.0` ' +
  '(its own script would download a libtensorflow of 2022)';

/** The project, the program that runs, and this package. */
function defaultStartDirectories(): string[] {
  const program = process.argv[1];
  return [
    process.cwd(),
    ...(program && existsSync(program) ? [dirname(realpathSync(program))] : []),
    packageDirectory,
  ];
}

function describe(manifestFile: string): TfjsNode {
  const {name, version, main, binary} = readManifest(manifestFile);
  const directory = dirname(manifestFile);
  const tfjsManifest = resolveFrom(directory, '@tensorflow/tfjs/package.json');
  return {
    name,
    version,
    directory,
    entry: join(directory, main),
    addonFile: join(
      directory,
      binary.module_path.replace(
        '{napi_build_version}',
        String(napiVersion(binary.napi_versions)),
      ),
      `${binary.module_name}.node`,
    ),
    tfjsVersion: tfjsManifest && readManifest(tfjsManifest).version,
  };
}

/** The newest Node-API version that the package knows and that this Node has. */
export function napiVersion(
  supported: number[],
  available = Number(process.versions.napi),
): number {
  return Math.max(...supported.filter(version => version <= available));
}

function readManifest(file: string): Manifest {
  return JSON.parse(readFileSync(file, 'utf8'));
}

function resolveFrom(directory: string, specifier: string): string | undefined {
  try {
    return createRequire(join(directory, 'package.json')).resolve(specifier);
  } catch {
    return undefined;
  }
}
