import {existsSync} from 'node:fs';
import {createRequire} from 'node:module';

import {diagnose} from './diagnosis.js';
import {examine} from './examine.js';
import {setUpGpu} from './gpu_reasons.js';
import {NativeError, reasonOf} from './native_error.js';
import {isOneDnnOn} from './one_dnn.js';
import {prepareProcess} from './prepare_process.js';
import {requireTfjsNode} from './tfjs_node.js';

export interface LoadTensorFlowOptions {
  /** `require`: fail where TensorFlow registered no GPU. Default: use what there is. */
  gpu?: 'require' | 'allow';
}

export interface LoadedTensorFlow {
  /** `@tensorflow/tfjs-node-gpu` or `@tensorflow/tfjs-node`. */
  packageName: string;
  /** The version of libtensorflow. */
  version: string;
  /** Whether ops run on a GPU. */
  usesGpu: boolean;
  /** Whether TensorFlow's CPU computes with oneDNN. */
  usesOneDnn: boolean;
}

/**
 * Loads tfjs-node-gpu or tfjs-node as the current project has it, on any Node, and makes
 * `tensorflow` the current backend of TensorFlow.js. TensorFlow computes with oneDNN, unless
 * the environment variable TF_ENABLE_ONEDNN_OPTS is 0.
 *
 * @throws NativeError if it is not installed, has no addon or does not load, with the
 * command that mends it; if `gpu` is `require` and no GPU is in use, with the reasons.
 */
export async function loadTensorFlow({
  gpu = 'allow',
}: LoadTensorFlowOptions = {}): Promise<LoadedTensorFlow> {
  const tfjsNode = requireTfjsNode();
  if (!existsSync(tfjsNode.addonFile)) {
    throw new NativeError(
      `${tfjsNode.name} in ${tfjsNode.directory} has no native addon.`,
      gpu === 'require' ? setUpGpu : 'Run `npx resbatchnorm-native setup`.',
    );
  }
  prepareProcess();
  const {tf, previousBackend} = load(tfjsNode.entry, tfjsNode.name);
  const backend = tf.backend();
  const loaded = {
    packageName: tfjsNode.name,
    version: backend.binding.TF_Version,
    usesGpu: backend.isUsingGpuDevice,
    usesOneDnn: isOneDnnOn(),
  };
  if (gpu === 'require' && !loaded.usesGpu) {
    tf.removeBackend('tensorflow');
    if (previousBackend) tf.setBackend(previousBackend);
    throw await noGpuError();
  }
  return loaded;
}

function load(entry: string, name: string) {
  const require = createRequire(entry);
  try {
    // What tfjs-node itself loads first; after that it makes its own backend the current one.
    const previousBackend: string | undefined = require('@tensorflow/tfjs').getBackend();
    return {tf: require(entry), previousBackend};
  } catch (error) {
    throw new NativeError(
      `${name} does not load: ${reasonOf(error)}.`,
      'Run `npx resbatchnorm-native setup`; `npx resbatchnorm-native doctor` tells more.',
    );
  }
}

async function noGpuError(): Promise<NativeError> {
  const {problems} = diagnose(await examine(), true);
  return new NativeError(
    ['TensorFlow uses no GPU.', ...problems.map(({problem}) => problem)].join(' '),
    problems[0]?.remedy ?? 'Run `npx resbatchnorm-native doctor`.',
  );
}
