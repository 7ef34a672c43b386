/** All test files that mutation testing runs, as one: see jest.config.js. */
import {readdirSync} from 'node:fs';
import path from 'node:path';

/** Which tests are to run, by their full names; all, if undefined. */
declare const testNamePattern: string | undefined;

const root = path.join(__dirname, '../..');
const testsIn = (folder: string) =>
  readdirSync(path.join(root, folder))
    .filter(name => /(?<!\.node)\.test\.ts$/.test(name))
    .map(name => `${folder}/${name}`);

const files = [
  ...testsIn('packages/layer/src'),
  ...testsIn('packages/layer/src/models'),
  'packages/layer/src/kernels/moving_statistics.test.ts',
  ...['arguments_saved', 'res_batch_norm', 'saving', 'variants'].map(
    name => `packages/layer/test/${name}.test.ts`,
  ),
  ...testsIn('packages/callbacks/src/update_ops_check'),
];

// Characters that mean something in a pattern are escaped there.
const asked = testNamePattern?.replaceAll('\\', '');

for (const file of files) {
  if (asked !== undefined && !asked.includes(file)) continue;
  describe(file, () => {
    try {
      jest.requireActual(path.join(root, file));
    } catch (error) {
      test('can be loaded', () => {
        throw error;
      });
    }
  });
}
