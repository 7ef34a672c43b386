// The tests that mutation testing runs: the project `cpu`, of which all test files are loaded
// as one. Stryker runs Jest once for each mutant, and a Jest that loads TensorFlow.js anew for
// each of its test files would take most of a minute for it.
import path from 'node:path';

import jestConfig from '../../jest.config.js';

const cpu = jestConfig.projects.find(({displayName}) => displayName === 'cpu');

/** @type {import('jest').Config} */
export default {
  ...cpu,
  testMatch: ['<rootDir>/testing/mutation/all_tests.ts'],
  testEnvironment: path.join(import.meta.dirname, 'environment.js'),
  // A mutant need not have the right types.
  transform: {
    '\\.ts$': [
      'ts-jest',
      {tsconfig: '<rootDir>/tsconfig.json', transpilation: true, diagnostics: false},
    ],
  },
};
