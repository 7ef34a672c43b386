export {builtAddonFile} from './built_addon.js';
export {
  type LoadedTensorFlow,
  loadTensorFlow,
  type LoadTensorFlowOptions,
} from './load_tensorflow.js';
export {type LoadedWebGPU, loadWebGPU} from './load_webgpu.js';
export {NativeError} from './native_error.js';
