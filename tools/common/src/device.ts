/** What computes. This file is for pages, too: it takes nothing of Node. */

export interface Device {
  kind: 'cpu' | 'gpu' | 'software gpu';
  name: string;
}

/** An adapter of WebGL or WebGPU, by its name. */
export function adapterDevice(name: string): Device {
  const isSoftware = /swiftshader|llvmpipe|lavapipe|softpipe|basic render/i.test(name);
  return {kind: isSoftware ? 'software gpu' : 'gpu', name};
}

/** One line that says why something is not there to compute on, and what mends it. */
export class AbsentError extends Error {
  override readonly name = 'AbsentError';
}
