/** Jest as a whole, with the runner, over test files that fail. */
import {execFile} from 'node:child_process';
import path from 'node:path';

import type {FormattedTestResults} from '@jest/test-result';
import {findChromium} from '@resbatchnorm/testing/chromium';

const root = path.resolve(__dirname, '../..');
const inChromium = findChromium() === null ? describe.skip : describe;

function runJest(...args: string[]): Promise<FormattedTestResults> {
  const config = {
    rootDir: root,
    runner: [path.join(__dirname, 'runner.js'), {patience: 3_000}],
    testMatch: [path.join(__dirname, 'fixtures/*.ts')],
  };
  const jest = path.join(root, 'node_modules/jest/bin/jest.js');
  const all = [jest, '--json', '--config', JSON.stringify(config), ...args];
  return new Promise((resolve, reject) => {
    // Jest ends with an error code when tests fail.
    execFile(process.execPath, all, {cwd: root}, (_error, stdout, stderr) =>
      stdout ? resolve(JSON.parse(stdout)) : reject(new Error(stderr)),
    );
  });
}

inChromium('of all files', () => {
  let results: FormattedTestResults;

  beforeAll(async () => {
    results = await runJest();
  });

  const fileOf = (name: string) =>
    results.testResults.find(file => path.basename(file.name) === name)!;

  test('each test has its status', () => {
    const {assertionResults} = fileOf('fails.ts');
    expect(assertionResults.map(({fullName, status}) => [fullName, status])).toEqual([
      ['passes', 'passed'],
      ['each, a x', 'passed'],
      ['is skipped', 'pending'],
      ['is to be written', 'todo'],
      ['differs', 'failed'],
      ['takes too long', 'failed'],
      ['expects too little', 'failed'],
      ['leaves a promise behind', 'failed'],
    ]);
  });

  test.each([
    ['differs', /expect\(received\)\.toEqual\(expected\)[^]*fixtures\/fails\.ts:13:\d+/],
    ['takes too long', /Exceeded timeout of 50 ms for a test/],
    ['expects too little', /Expected one assertion to be called but received zero/],
    ['leaves a promise behind', /of nobody[^]*fixtures\/fails\.ts:23:\d+/],
  ])('%s: the message says why and where', (title, message) => {
    const {failureMessages} = fileOf('fails.ts').assertionResults.find(
      result => result.title === title,
    )!;
    expect(failureMessages).toEqual([expect.stringMatching(message)]);
  });

  test.each([
    ['hangs.ts', 'The page hangs: no sign for 3.01 s of hangs'],
    ['throws.ts', 'at the top'],
    ['uses_node.ts', 'uses_node.ts:1:27: ERROR: Could not resolve "node:fs"'],
  ])('%s fails as a whole', (name, message) => {
    const {status, assertionResults, message: shown} = fileOf(name);
    expect({status, assertionResults}).toEqual({status: 'failed', assertionResults: []});
    expect(shown).toContain(message);
  });
});

inChromium('of one file', () => {
  test('-t takes the tests of that name', async () => {
    const results = await runJest('fails', '-t', 'each, a');
    expect(results).toMatchObject({
      success: true,
      numPassedTests: 1,
      numPendingTests: 7,
      numTodoTests: 0,
    });
  });
});
