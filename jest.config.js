// Every test of the published packages runs once on every backend: each backend is a Jest
// project over the same test files, named in the output. `npm test -- --selectProjects cpu`
// runs one of them.
import {backends} from './testing/backends.js';

const shared = {
  rootDir: import.meta.dirname,
  testEnvironment: '<rootDir>/testing/environment.js',
  transform: {'\\.ts$': ['ts-jest', {tsconfig: '<rootDir>/testing/tsconfig.json'}]},
  moduleNameMapper: {
    // The tests run the sources, not what was built from them.
    '^@resbatchnorm/([^/]+)$': '<rootDir>/packages/$1/src/index.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
};

/** @type {import('jest').Config} */
export default {
  reporters: ['default', '<rootDir>/testing/absent_backends_reporter.js'],
  projects: [
    ...backends.map(backend => ({
      ...shared,
      displayName: backend.name,
      globals: {backendUnderTest: backend.name},
      setupFilesAfterEnv: ['<rootDir>/testing/set_up_backend.ts'],
      testMatch: [
        '<rootDir>/packages/{layer,callbacks}/src/**/*.test.ts',
        ...(backend.name === 'wasm'
          ? ['<rootDir>/packages/wasm-training/src/**/*.test.ts']
          : []),
      ],
    })),
    {
      ...shared,
      displayName: 'node',
      setupFilesAfterEnv: ['<rootDir>/testing/set_up_node.ts'],
      testMatch: [
        '<rootDir>/packages/{native,reference,resnet,verify-gpu}/src/**/*.test.ts',
      ],
    },
  ],
};
