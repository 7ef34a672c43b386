import {NativeError} from './native_error.js';

export type Device = 'cpu' | 'gpu';

export interface Platform {
  os: string;
  arch: string;
  /** False on a Linux whose C library is musl, such as Alpine. */
  isGlibc: boolean;
}

export function thisPlatform(): Platform {
  // Or it looks up the names of all peers, which takes long without a network.
  Object.assign(process.report, {excludeNetwork: true});
  const {header} = process.report.getReport() as {
    header: {glibcVersionRuntime?: string};
  };
  return {
    os: process.platform,
    arch: process.arch,
    isGlibc: header.glibcVersionRuntime !== undefined,
  };
}

/**
 * @throws NativeError where no pip package of TensorFlow has a libtensorflow that the addon
 * can be linked with.
 */
export function checkPlatform({os, arch, isGlibc}: Platform, device?: Device): void {
  if (os !== 'linux' || !['x64', 'arm64'].includes(arch)) {
    throw new NativeError(
      `setup works on Linux (x64, arm64); this is ${os} (${arch}).`,
      'Use the libtensorflow that `npm rebuild @tensorflow/tfjs-node` downloads, or WebGPU.',
    );
  }
  if (!isGlibc) {
    throw new NativeError(
      'TensorFlow needs the GNU C library, and this Linux has another one (Alpine?).',
      'Use an image based on Debian, Ubuntu or Fedora.',
    );
  }
  if (device === 'gpu' && arch !== 'x64') {
    throw new NativeError(
      `TensorFlow has no pip package with CUDA for ${arch}.`,
      'Run `resbatchnorm-native setup --cpu`.',
    );
  }
}

/** What pip is asked for. */
export function pipRequirement(device: Device, version: string, arch: string): string {
  if (device === 'gpu') return `tensorflow[and-cuda]==${version}`;
  // The package for arm64 is without CUDA and has no other name.
  return `${arch === 'arm64' ? 'tensorflow' : 'tensorflow-cpu'}==${version}`;
}
