/** Where ResBatchNorm is measured. */

export const backendNames = [
  'cpu',
  'wasm',
  'tensorflow',
  'tensorflow-gpu',
  'webgpu',
  'chromium-webgl',
  'chromium-webgpu',
] as const;

export type BackendName = (typeof backendNames)[number];

/** The name that the backend has in TensorFlow.js. */
export function tfjsBackend(name: BackendName): string {
  return name.replace(/^chromium-|-gpu$/, '');
}

export function runsInChromium(name: BackendName): boolean {
  return name.startsWith('chromium-');
}

/** What does the arithmetic. */
export interface Device {
  kind: 'cpu' | 'gpu' | 'software gpu';
  name: string;
}

/** An adapter of WebGL or WebGPU, by its name. */
export function adapterDevice(name: string): Device {
  const isSoftware = /swiftshader|llvmpipe|lavapipe|softpipe|basic render/i.test(name);
  return {kind: isSoftware ? 'software gpu' : 'gpu', name};
}
