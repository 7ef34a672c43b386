import {existsSync, readdirSync} from 'node:fs';
import {homedir} from 'node:os';
import {join} from 'node:path';

import {NativeError, reasonOf} from './native_error.js';

export interface LoadedWebGPU {
  /** The device and its maker, as the driver tells them. */
  adapter: string;
  /** Lets go of the GPU. Until then the process may not end by itself. */
  release(): void;
}

const installPackages =
  'Run `npm install webgpu @tensorflow/tfjs-backend-webgpu@4.22.0`.';

/**
 * Gives Node WebGPU, through Dawn, and registers the backend `webgpu` with TensorFlow.js.
 * Make it the current one with `await tf.setBackend('webgpu')`.
 *
 * @throws NativeError if a package is missing, or there is no driver or no adapter.
 */
export async function loadWebGPU(): Promise<LoadedWebGPU> {
  useSoftwareDriver();
  const {create, globals} = await importDawn();
  const gpu = create([]);
  const adapter = await gpu.requestAdapter({powerPreference: 'high-performance'});
  if (!adapter) {
    throw new NativeError(
      'WebGPU has no adapter: Dawn found no GPU with a driver that it can use.',
      adapterRemedy(process.platform),
    );
  }
  const hadNavigator = 'navigator' in globalThis;
  if (!hadNavigator) {
    Object.defineProperty(globalThis, 'navigator', {
      value: {userAgent: `Node.js/${process.versions.node}`},
      configurable: true,
    });
  }
  const {navigator} = globalThis as unknown as {navigator: object};
  Object.defineProperty(navigator, 'gpu', {value: gpu, configurable: true});
  Object.assign(globalThis, globals);
  await importBackend();
  return {
    adapter: describeAdapter(adapter.info),
    release: () => {
      Reflect.deleteProperty(navigator, 'gpu');
      if (!hadNavigator) Reflect.deleteProperty(globalThis, 'navigator');
    },
  };
}

/** Where Debian's package chromium keeps SwiftShader, a Vulkan driver that needs no GPU. */
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';

/**
 * Where there is no Vulkan driver but that of chromium, Vulkan's loader is told of it: it looks
 * in the folders of drivers alone.
 */
function useSoftwareDriver(): void {
  const driver = softwareDriver(process.env, driverFolders());
  if (driver === undefined) return;
  process.env.VK_DRIVER_FILES = driver;
  process.env.VK_ICD_FILENAMES = driver;
}

function driverFolders(): string[] {
  const data = process.env.XDG_DATA_HOME ?? join(homedir(), '.local', 'share');
  const parents = ['/etc', '/usr/local/etc', '/usr/local/share', '/usr/share', data];
  return parents.map(parent => join(parent, 'vulkan', 'icd.d'));
}

/** SwiftShader's file, where neither the environment nor a folder has another driver. */
export function softwareDriver(
  env: Record<string, string | undefined>,
  folders: readonly string[],
  file = SWIFTSHADER,
): string | undefined {
  const isChosen = env.VK_DRIVER_FILES ?? env.VK_ICD_FILENAMES ?? env.VK_ADD_DRIVER_FILES;
  const hasDriver = folders.some(
    folder =>
      existsSync(folder) && readdirSync(folder).some(name => /\.json$/.test(name)),
  );
  return isChosen || hasDriver || !existsSync(file) ? undefined : file;
}

async function importDawn(): Promise<typeof import('webgpu')> {
  try {
    return await import('webgpu');
  } catch (error) {
    throw new NativeError(
      `The package webgpu does not load: ${reasonOf(error)}.`,
      installPackages,
    );
  }
}

// It reads navigator.gpu as it is imported, and registers itself only if that is there.
async function importBackend(): Promise<void> {
  try {
    await import('@tensorflow/tfjs-backend-webgpu');
  } catch (error) {
    throw new NativeError(
      `The package @tensorflow/tfjs-backend-webgpu does not load: ${reasonOf(error)}.`,
      installPackages,
    );
  }
}

export function adapterRemedy(platform: string): string {
  if (platform !== 'linux') return 'Install the driver of the GPU.';
  return (
    'Install libvulkan1 and the Vulkan driver of the GPU: the one of NVIDIA, with libegl1 if ' +
    'the machine has no display, or mesa-vulkan-drivers 25 or newer (`vulkaninfo --summary` ' +
    "lists what is there). Without a GPU, SwiftShader of Debian's package chromium works, and " +
    'is found where it is the only driver; else set VK_DRIVER_FILES to its ' +
    'vk_swiftshader_icd.json.'
  );
}

interface AdapterInfo {
  vendor: string;
  architecture: string;
  device: string;
  description: string;
}

/** The most telling of what a driver says, some of which is often empty. */
export function describeAdapter({
  vendor,
  architecture,
  device,
  description,
}: AdapterInfo): string {
  const name = device && !/^0x/.test(device) ? device : [vendor, architecture].join(' ');
  return [name.trim(), description].filter(Boolean).join(', ') || 'unnamed adapter';
}
