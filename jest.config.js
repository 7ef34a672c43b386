// The tests of the layer and of the callbacks run once on every backend: each backend is a Jest
// project over the same test files, named in the output. `npm test -- --selectProjects cpu`
// runs one of them. What is left out of one says why below.
import {readFileSync} from 'node:fs';
import path from 'node:path';

import {chromiumBackends, nodeBackends} from './testing/jest/backends.js';

const rootDir = import.meta.dirname;

/** The tests run the sources, not what was built from them. One list says where they are. */
const {compilerOptions} = JSON.parse(
  readFileSync(path.join(rootDir, 'tsconfig.json'), 'utf8'),
);
const sources = Object.entries(compilerOptions.paths).map(([name, [file]]) => [
  `^${name.replace('*', '([^/.]+)')}$`,
  `<rootDir>/${file.replace('*', '$1')}`,
]);

const shared = {
  rootDir,
  // Copies of packages that other programs make there would stand for the packages.
  modulePathIgnorePatterns: ['<rootDir>/out/'],
  moduleNameMapper: {
    ...Object.fromEntries(sources),
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
};

const inNode = {
  ...shared,
  testEnvironment: '<rootDir>/testing/jest/environment.js',
  // Looking up a global is slow in the context of a test file. What computes on the CPU asks for
  // Math at each value, and TensorFlow.js for the others several times an op. Modules get them as
  // arguments instead.
  sandboxInjectedGlobals: ['Math', 'Symbol', 'Array', 'Object'],
  transform: {'\\.ts$': ['ts-jest', {tsconfig: '<rootDir>/tsconfig.json'}]},
};

const inChromium = {
  ...shared,
  runner: '<rootDir>/testing/jest_in_chromium/runner.js',
};

const perBackend = [
  '<rootDir>/packages/{layer,callbacks}/{src,test}/**/*.test.ts',
  '!**/*.node.test.ts',
];

/**
 * Which layers a callback looks at, what it keeps in which files, and what it says are the same on
 * every backend: tested on cpu alone. What it computes and reads back is tested on all.
 */
const onCpuAlone = [
  '{arguments,callbacks_argument,counted,statistics_distance,two_copies,progress_bar/*}',
  'model_checkpoint/{checkpoint_folder,model_checkpoint_errors,several_folders,stopped}',
  '{phase_gap_check/phase_gap,update_ops_check/violations}',
].map(files => `!**/callbacks/src/${files}.test.ts`);

/** What is special to the kernels of one backend is tested on that alone. */
const ofBackend = backend => [
  '!**/layer/src/kernels/{wasm,tensorflow,webgl,webgpu}/**',
  `<rootDir>/packages/layer/src/kernels/${backend}/**/*.test.ts`,
];

/**
 * A GPU made of software is slow, so Chromium runs the tests of what computes on it: the
 * kernels, their gradients, and the layer with its variants.
 */
const inBrowser = [
  '<rootDir>/packages/layer/src/{kernels,norm}/**/*.test.ts',
  // Which reads back from the device what is set.
  '<rootDir>/packages/layer/src/incoming_weights.test.ts',
  '<rootDir>/packages/layer/test/{gradients,variants,res_batch_norm,built_in_faults,saving}.test.ts',
];

/** @type {import('jest').Config} */
export default {
  // One for each core: Jest leaves one core idle.
  maxWorkers: '100%',
  // On a GPU made of software a thousand steps take their time, and on a busy machine a short
  // training in a program of its own takes a minute.
  testTimeout: 180_000,
  reporters: ['default', '<rootDir>/testing/jest/backends.js'],
  projects: [
    ...nodeBackends.map(({name}) => ({
      ...inNode,
      displayName: name,
      globals: {
        backendUnderTest: name,
        usesCustomOps: true,
        testedBackends: nodeBackends.map(one => one.name),
      },
      setupFilesAfterEnv: ['<rootDir>/testing/jest/set_up_backend.ts'],
      testMatch: [
        ...perBackend,
        ...ofBackend(name),
        ...(name === 'cpu' ? [] : onCpuAlone),
        // What models, files and epochs are is the same on every backend, and a step takes long
        // on this one.
        ...(name === 'webgpu'
          ? [
              '!**/{layer/test,callbacks/src}/{freezing,arguments_saved,tf_keras_model}.test.ts',
              '!**/layer/src/{batch_norms,incoming_weights}.test.ts',
              // For TensorFlow; it reads what the replicas exchange at once, which WebGPU can't.
              '!**/layer/test/synchronized.test.ts',
              '!**/callbacks/src/{model_checkpoint/**,moving_statistics_summary/**,early_stopping.*}',
              '!**/update_ops_check/{skipped_layers,trained_weights,value_count}.test.ts',
            ]
          : []),
        ...(name === 'wasm' ? ['<rootDir>/packages/wasm-training/src/**/*.test.ts'] : []),
      ],
    })),
    // The kernels by TensorFlow's own ops, for those who have not run `resbatchnorm-native setup`.
    ...nodeBackends
      .filter(({name}) => name === 'tensorflow')
      .map(({name}) => ({
        ...inNode,
        displayName: 'tensorflow-own-ops',
        globals: {backendUnderTest: name, usesCustomOps: false},
        setupFilesAfterEnv: ['<rootDir>/testing/jest/set_up_backend.ts'],
        testMatch: [
          '<rootDir>/packages/layer/src/{kernels,norm}/**/*.test.ts',
          ...ofBackend(name),
          '!**/custom_ops.test.ts',
        ],
      })),
    ...chromiumBackends.map(({name, backend}) => ({
      ...inChromium,
      displayName: name,
      globals: {backendUnderTest: backend},
      setupFilesAfterEnv: ['<rootDir>/testing/jest_in_chromium/set_up_backend.ts'],
      testMatch: [...inBrowser, ...ofBackend(backend)],
    })),
    {
      ...inNode,
      displayName: 'node',
      testMatch: [
        '<rootDir>/testing/**/*.test.ts',
        '<rootDir>/{packages/native,examples/*,tools/*}/src/**/*.test.ts',
        '<rootDir>/packages/distributed/{src,test}/**/*.test.ts',
        // What starts programs, or is the same on every backend.
        '<rootDir>/packages/callbacks/src/**/*.node.test.ts',
      ],
    },
  ],
};
