// Mutation testing: `npm run test:mutation` changes the sources below in small ways, one at a
// time, and tells which of the changes no test notices. A part of them: `-- --mutate <files>`.

import {tmpdir} from 'node:os';
import path from 'node:path';

/** @type {import('@stryker-mutator/api/core').PartialStrykerOptions} */
export default {
  mutate: [
    'packages/layer/src/{arguments,check_arguments,batch_norms,model_hooks}.ts',
    'packages/layer/src/{incoming_weights,moving_statistics,update_ops,batch_statistics}.ts',
    'packages/layer/src/kernels/composed/moving_statistics.ts',
    'packages/callbacks/src/update_ops_check/*.ts',
    '!**/*.test.ts',
  ],
  // What jest.config.js itself imports was built.
  ignorePatterns: ['**/dist', '!testing/dist', 'examples', 'tools'],
  testRunner: 'jest',
  jest: {
    configFile: 'testing/mutation/jest.config.js',
    enableFindRelatedTests: false,
  },
  coverageAnalysis: 'perTest',
  concurrency: 2,
  disableTypeChecks: false,
  timeoutMS: 10_000,
  // Jest must not find the copies of the packages there.
  tempDirName: path.join(tmpdir(), 'resbatchnorm_mutation'),
  reporters: ['clear-text', 'progress', 'html', 'json'],
  htmlReporter: {fileName: 'out/mutation/report.html'},
  jsonReporter: {fileName: 'out/mutation/report.json'},
  clearTextReporter: {
    allowColor: false,
    allowEmojis: false,
    logTests: false,
    reportTests: false,
  },
  thresholds: {high: 95, low: 85, break: 85},
};
