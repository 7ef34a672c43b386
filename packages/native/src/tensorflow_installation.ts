/** A TensorFlow as its pip package lays it out: libraries, headers and build information. */
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {dirname, join} from 'node:path';

/** The version that `setup` takes by default. */
// Not 2.21: its libtensorflow_framework no longer looks for cuSOLVER in the pip package
// beside it (tensorflow/tensorflow#112973).
export const defaultTensorFlowVersion = '2.20.0';

export const libraryNames = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'];

export interface BuildInfo {
  isCuda: boolean;
  cuda?: string;
  cudnn?: string;
  /** The GPUs that it has code for, such as `sm_60` and `compute_90`. */
  computeCapabilities: string[];
}

/** Whether a folder `tensorflow` has all that the addon is built from. */
export function hasLibraryAndHeaders(directory: string): boolean {
  return [...libraryNames, 'include/tensorflow/c/c_api.h'].every(name =>
    existsSync(join(directory, name)),
  );
}

/** What a pip package of TensorFlow says of its own build. */
export function readBuildInfo(directory: string): BuildInfo | undefined {
  const file = join(directory, 'python', 'platform', 'build_info.py');
  return existsSync(file) ? parseBuildInfo(readFileSync(file, 'utf8')) : undefined;
}

/** Reads the Python literal in build_info.py. */
export function parseBuildInfo(text: string): BuildInfo {
  const field = (name: string) => new RegExp(`'${name}', '([^']*)'`).exec(text)?.[1];
  const [, capabilities = ''] =
    /'cuda_compute_capabilities', \[([^\]]*)\]/.exec(text) ?? [];
  return {
    isCuda: /'is_cuda_build', True/.test(text),
    cuda: field('cuda_version'),
    cudnn: field('cudnn_version'),
    computeCapabilities: [...capabilities.matchAll(/'([^']+)'/g)].map(([, name]) => name),
  };
}

/** The lowest compute capability that a build has code for, such as 6.0 for `sm_60`. */
export function minimumComputeCapability(build: BuildInfo): number | undefined {
  const numbers = build.computeCapabilities
    .map(name => Number(/_(\d+)/.exec(name)?.[1]) / 10)
    .filter(number => !Number.isNaN(number));
  return numbers.length > 0 ? Math.min(...numbers) : undefined;
}

/** The versions of the pip packages of CUDA and cuDNN beside a folder `tensorflow`. */
export function pipCudaVersions(tensorflowDirectory: string): {
  cuda?: string;
  cudnn?: string;
} {
  const sitePackages = dirname(tensorflowDirectory);
  if (!existsSync(sitePackages)) return {};
  const names = readdirSync(sitePackages);
  const version = (pattern: RegExp) =>
    names.map(name => pattern.exec(name)?.[1]).find(Boolean);
  return {
    cuda: version(/^nvidia_cuda_runtime_cu\d+-(.+)\.dist-info$/),
    cudnn: version(/^nvidia_cudnn_cu\d+-(.+)\.dist-info$/),
  };
}
