/** The CUDA libraries that a libtensorflow loads when it looks for GPUs. */
import {existsSync, readdirSync} from 'node:fs';
import {delimiter, join} from 'node:path';

import {runProcess} from './run_process.js';
import {isAtLeast} from './versions.js';

export interface CudaRelease {
  /** CUDA and cuDNN in the releases that libtensorflow was built for. */
  cuda: string;
  cudnn: string;
  /** If one of them is missing, TensorFlow registers no GPU. */
  libraries: string[];
}

const cuda12 = ['cudart.so.12', 'cublas.so.12', 'cublasLt.so.12', 'cufft.so.11'].concat([
  'cusolver.so.11',
  'cusparse.so.12',
]);
const cuda11 = ['cudart.so.11.0', 'cublas.so.11', 'cublasLt.so.11', 'cufft.so.10'].concat(
  ['curand.so.10', 'cusolver.so.11', 'cusparse.so.11'],
);

/** What a libtensorflow of this version, built for CUDA, wants. */
export function cudaReleaseOf(tensorflowVersion: string): CudaRelease {
  const release = (cuda: string, cudnn: string, libraries: string[]) => ({
    cuda,
    cudnn,
    libraries: [...libraries, `cudnn.so.${cudnn.split('.')[0]}`].map(
      name => `lib${name}`,
    ),
  });
  if (isAtLeast(tensorflowVersion, '2.18')) return release('12.5', '9.3', cuda12);
  if (isAtLeast(tensorflowVersion, '2.15')) return release('12.2', '8.9', cuda12);
  return release('11.2', '8.1', cuda11);
}

/** The folders of the pip packages `nvidia-*`, whose libraries no loader finds by itself. */
export function pipLibraryDirectories(sitePackages: string): string[] {
  const nvidia = join(sitePackages, 'nvidia');
  if (!existsSync(nvidia)) return [];
  return readdirSync(nvidia)
    .sort()
    .map(name => join(nvidia, name, 'lib'))
    .filter(directory => existsSync(directory));
}

export interface Library {
  name: string;
  /** Undefined if it was not found. */
  path?: string;
}

/** Looks for libraries as the dynamic loader does: in folders first, then in its cache. */
export async function locateLibraries(
  names: string[],
  directories: string[],
  libraryPath = process.env.LD_LIBRARY_PATH ?? '',
): Promise<Library[]> {
  const folders = [...libraryPath.split(delimiter).filter(Boolean), ...directories];
  // /sbin is not on every user's PATH.
  const ldconfig = existsSync('/sbin/ldconfig') ? '/sbin/ldconfig' : 'ldconfig';
  const loaderCache = parseLoaderCache((await runProcess(ldconfig, ['-p'])).stdout);
  return names.map(name => ({
    name,
    path:
      folders.map(folder => join(folder, name)).find(file => existsSync(file)) ??
      loaderCache.get(name),
  }));
}

/** Reads `ldconfig -p`: lines such as `libz.so.1 (libc6,x86-64) => /lib/libz.so.1`. */
export function parseLoaderCache(listing: string): Map<string, string> {
  const paths = new Map<string, string>();
  for (const line of listing.split('\n')) {
    const [, name, path] = /^\s*(\S+) \(.*\) => (\S.*)$/.exec(line) ?? [];
    if (name && !paths.has(name)) paths.set(name, path);
  }
  return paths;
}

/** Puts folders in front of a library path, once each. */
export function prependLibraryPath(directories: string[], libraryPath = ''): string {
  const rest = libraryPath.split(delimiter).filter(Boolean);
  return [...new Set([...directories, ...rest])].join(delimiter);
}
