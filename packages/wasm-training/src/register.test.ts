/** What the import of the package does to the registry of kernels. */
import type * as Core from '@tensorflow/tfjs-core';

const replaced = [
  'AvgPool',
  'AvgPool3D',
  'AvgPool3DGrad',
  'AvgPoolGrad',
  'BatchMatMul',
  'Conv2D',
  'Conv2DBackpropInput',
  'Conv3D',
  'Conv3DBackpropFilterV2',
  'Conv3DBackpropInputV2',
  'DepthwiseConv2dNative',
  'FusedConv2D',
  'FusedDepthwiseConv2D',
  'Identity',
  'MaxPool',
  'MaxPool3D',
  'MaxPool3DGrad',
  'MaxPoolGrad',
  'MaxPoolWithArgmax',
  'Prelu',
  'Sum',
];
const added = [
  'Conv2DBackpropFilter',
  'DepthwiseConv2dNativeBackpropFilter',
  'DepthwiseConv2dNativeBackpropInput',
  'UnsortedSegmentSum',
];

/** The state that all copies of tfjs-core in a program share. */
const globals = globalThis as {_tfGlobals?: unknown; _tfengine?: unknown};

/** Imports the modules in this order as a program does that has imported nothing yet. */
function importFresh(moduleNames: string[]) {
  const {_tfGlobals, _tfengine} = globals;
  const warn = jest.spyOn(console, 'warn').mockImplementation(() => {});
  globals._tfGlobals = undefined;
  globals._tfengine = undefined;
  try {
    const kernels = new Map<string, unknown>();
    jest.isolateModules(() => {
      for (const name of moduleNames) jest.requireActual(name);
      const tf = jest.requireActual<typeof Core>('@tensorflow/tfjs-core');
      for (const {kernelName, kernelFunc} of tf.getKernelsForBackend('wasm')) {
        kernels.set(kernelName, kernelFunc);
      }
    });
    return {kernels, warnings: warn.mock.calls.flat()};
  } finally {
    warn.mockRestore();
    Object.assign(globals, {_tfGlobals, _tfengine});
  }
}

const backend = '@tensorflow/tfjs-backend-wasm';

it.each([
  ['before the backend', ['./index', backend]],
  ['after the backend', [backend, './index']],
  ['without the backend', ['./index']],
])('imported %s, all kernels are registered, without a warning', (_, moduleNames) => {
  const alone = importFresh([backend]).kernels;
  const {kernels, warnings} = importFresh(moduleNames);
  expect(warnings).toEqual([]);
  for (const name of added) expect(alone.has(name)).toBe(false);
  const names = [...kernels.keys()].sort();
  expect(names).toEqual([...alone.keys(), ...added].sort());
  // A function's source tells whose kernel it is: each import makes new functions.
  const isOurs = (name: string) => String(kernels.get(name)) !== String(alone.get(name));
  expect(names.filter(isOurs)).toEqual([...added, ...replaced].sort());
});
