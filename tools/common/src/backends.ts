/**
 * The backends of TensorFlow.js in Node, by name. TensorFlow.js is loaded only when one is
 * opened, so that a command line can take the names from here and stay quick.
 */
import {availableParallelism, cpus} from 'node:os';

import {reasonOf, UsageError} from './command_line.js';
import {AbsentError, adapterDevice, type Device} from './device.js';
import {driverVersion, gpuName} from './nvidia_smi.js';

export const backendNames = [
  'cpu',
  'wasm',
  'tensorflow',
  'tensorflow-gpu',
  'webgpu',
] as const;

export type BackendName = (typeof backendNames)[number];

/** What `auto` tries. */
const fastestFirst: readonly BackendName[] = ['tensorflow', 'wasm', 'cpu'];

export interface OpenBackend {
  /** The name, and the device where that is not in the name. */
  title: string;
  device: Device;
  /** Of what lies between TensorFlow.js and the device. */
  versions: Record<string, string>;
  /** Absent on a GPU. */
  threads?: number;
  /** Whether TensorFlow computes with oneDNN; absent where there is no TensorFlow. */
  usesOneDnn?: boolean;
  /** Lets go of the device, without which the process would not end. */
  release(): void;
}

export interface OpenArgs {
  /**
   * Whether wasm gets the kernels of `@resbatchnorm/wasm-training`, without which it does not
   * train convolutions; default true.
   */
  trainingKernels?: boolean;
  /** Default: `import`. */
  importModule?: (specifier: string) => Promise<unknown>;
}

/** What was loaded, and the name under which TensorFlow.js has it. */
interface Loaded extends Partial<OpenBackend> {
  registeredName: string;
  device: Device;
}

type Loader = (args: Required<OpenArgs>) => Promise<Loaded>;

const loaders: Record<BackendName, Loader> = {
  cpu: async ({importModule}) => {
    await importModule('@tensorflow/tfjs-backend-cpu');
    return {registeredName: 'cpu', device: processor(), threads: 1};
  },
  wasm: async ({importModule, trainingKernels}) => {
    const wasm = await importModule('@tensorflow/tfjs-backend-wasm');
    if (trainingKernels) await importModule('@resbatchnorm/wasm-training');
    // Known once it has been started.
    const {getThreadsCount} = wasm as typeof import('@tensorflow/tfjs-backend-wasm');
    return {
      registeredName: 'wasm',
      device: processor(),
      get threads() {
        return getThreadsCount();
      },
    };
  },
  tensorflow: args => loadTensorFlow(args, 'allow'),
  'tensorflow-gpu': args => loadTensorFlow(args, 'require'),
  webgpu: async ({importModule}) => {
    const native = await importModule('@resbatchnorm/native');
    const {loadWebGPU} = native as typeof import('@resbatchnorm/native');
    const {adapter, release} = await loadWebGPU();
    const device = adapterDevice(adapter);
    return {
      registeredName: 'webgpu',
      title: `webgpu (${adapter})`,
      device,
      versions: device.kind === 'gpu' ? await driver() : {},
      release,
    };
  },
};

async function loadTensorFlow(
  {importModule}: Required<OpenArgs>,
  gpu: 'allow' | 'require',
): Promise<Loaded> {
  const native = await importModule('@resbatchnorm/native');
  const {version, usesGpu, usesOneDnn} = await (
    native as typeof import('@resbatchnorm/native')
  ).loadTensorFlow({gpu});
  const loaded = {
    registeredName: 'tensorflow',
    title: `tensorflow (TensorFlow ${version}, ${usesGpu ? 'GPU' : 'CPU'})`,
    usesOneDnn,
  };
  if (!usesGpu) {
    const threads = Number(process.env.TF_NUM_INTRAOP_THREADS ?? availableParallelism());
    return {...loaded, device: processor(), versions: {TensorFlow: version}, threads};
  }
  return {
    ...loaded,
    device: {kind: 'gpu', name: (await gpuName()) ?? 'GPU of TensorFlow'},
    versions: {TensorFlow: version, ...(await driver())},
  };
}

function processor(): Device {
  return {kind: 'cpu', name: cpus()[0]?.model ?? 'unnamed processor'};
}

async function driver(): Promise<Record<string, string>> {
  const version = await driverVersion();
  return version === undefined ? {} : {driver: version};
}

/**
 * Loads a backend, makes it the current one and has it compute.
 *
 * @throws AbsentError if it is not there, with what mends it.
 */
export async function openBackend(
  name: BackendName,
  {trainingKernels = true, importModule = specifier => import(specifier)}: OpenArgs = {},
): Promise<OpenBackend> {
  const tf = await import('@tensorflow/tfjs-core');
  // Without it the cpu backend prints a banner that recommends another backend.
  tf.enableProdMode();
  const loaded = await loaders[name]({trainingKernels, importModule}).catch(throwAbsent);
  const {registeredName, device} = loaded;
  if (!(await tf.setBackend(registeredName))) {
    throw new AbsentError('its initialization failed');
  }
  // Some builds of the native backend load on a Node they do not support, and then fail
  // in the first op.
  const [two, one] = [tf.scalar(2), tf.scalar(1)];
  const three = tf.add(two, one);
  const [value] = await three.data();
  tf.dispose([two, one, three]);
  if (value !== 3) throw new Error(`2 + 1 gave ${value}`);
  const {title = name, versions = {}, threads, usesOneDnn, release = () => {}} = loaded;
  return {title, device, versions, threads, usesOneDnn, release};
}

/**
 * Opens the backend that `--backend` names; `auto` takes the fastest that loads.
 *
 * @throws UsageError if it does not load.
 */
export async function useBackend(
  name: BackendName | 'auto',
  args?: OpenArgs,
): Promise<OpenBackend> {
  const failures: string[] = [];
  for (const candidate of name === 'auto' ? fastestFirst : [name]) {
    try {
      return await openBackend(candidate, args);
    } catch (error) {
      failures.push(`${candidate} does not load, ${reasonOf(error)}`);
    }
  }
  throw new UsageError(`--backend ${name}: ${failures.join('; ')}`);
}

function throwAbsent(error: unknown): never {
  throw error instanceof Error && error.name === 'NativeError'
    ? new AbsentError(error.message)
    : error;
}
