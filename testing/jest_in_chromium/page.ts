/**
 * Runs one test file in a page, with the test framework, the `expect` and the mocks of Jest.
 * Only what belongs to Node is missing: mocks of modules, fake timers and snapshots.
 */
import {expect} from 'expect';
import framework, {addEventHandler, getState, run} from 'jest-circus';
import {ModuleMocker} from 'jest-mock';

export interface TestFile {
  /** What the set-up and the tests find as global variables. */
  globals: Record<string, unknown>;
  /** The URLs of the set-up files and of the test file, in this order. */
  modules: string[];
  /** Regular expression for the names of the tests to run; the others are skipped. */
  testNamePattern?: string;
  /** In milliseconds, for tests that set none. */
  testTimeout?: number;
}

export interface TestReport {
  /** The titles of the `describe` blocks around the test, and its own. */
  titles: string[];
  status: 'failed' | 'passed' | 'pending' | 'todo';
  /** In milliseconds; null for a test that did not run. */
  duration: number | null;
  startedAt: number | null;
  passedAssertions: number;
  failing: boolean;
  invocations: number;
  /** Messages with stacks. */
  errors: string[];
}

export interface FileReport {
  tests: TestReport[];
  /** Those that belong to no test. */
  errors: string[];
}

/** What is about to run, and how many milliseconds it may take. */
export interface Step {
  name: string;
  timeout: number;
}

declare global {
  /** Tells Node, which waits no longer than the step may take. */
  var onStep: (step: Step) => void;
}

declare function addEventListener(
  type: 'error' | 'unhandledrejection',
  listener: (event: {error?: unknown; reason?: unknown}) => void,
): void;

type State = ReturnType<typeof getState>;
type Test = NonNullable<State['currentlyRunningTest']>;
type TestResult = Awaited<ReturnType<typeof run>>['testResults'][number];

Error.stackTraceLimit = 100;

const {test, describe} = framework;
const mocker = new ModuleMocker(globalThis);

Object.assign(globalThis, framework, {
  expect,
  fit: test.only,
  xit: test.skip,
  xtest: test.skip,
  fdescribe: describe.only,
  xdescribe: describe.skip,
  jest: {
    fn: mocker.fn.bind(mocker),
    spyOn: mocker.spyOn.bind(mocker),
    mocked: (source: unknown) => source,
    isMockFunction: mocker.isMockFunction.bind(mocker),
    clearAllMocks: () => mocker.clearAllMocks(),
    resetAllMocks: () => mocker.resetAllMocks(),
    restoreAllMocks: () => mocker.restoreAllMocks(),
    setTimeout: (timeout: number) => void (getState().testTimeout = timeout),
  },
});

/** Without the block around all. */
function titlesOf(test: Test): string[] {
  const titles = [test.name];
  for (let block = test.parent; block.parent; block = block.parent) {
    titles.unshift(block.name);
  }
  return titles;
}

addEventHandler((event, {currentlyRunningTest, testTimeout}) => {
  switch (event.name) {
    case 'test_start':
      expect.setState({currentTestName: titlesOf(event.test).join(' ')});
      break;
    case 'hook_start': {
      const test = currentlyRunningTest && titlesOf(currentlyRunningTest).join(' › ');
      const {type, timeout} = event.hook;
      onStep({
        name: test ? `${type} of ${test}` : type,
        timeout: timeout ?? testTimeout,
      });
      break;
    }
    case 'test_fn_start':
      onStep({
        name: titlesOf(event.test).join(' › '),
        timeout: event.test.timeout ?? testTimeout,
      });
      break;
    case 'test_done': {
      const {numPassingAsserts, suppressedErrors} = expect.getState();
      event.test.numPassingAsserts = numPassingAsserts;
      // What `expect.assertions` and soft expectations found missing.
      const failures = expect.extractExpectedAssertionsErrors();
      event.test.errors.push(...suppressedErrors, ...failures.map(({error}) => error));
      expect.setState({suppressedErrors: []});
      break;
    }
  }
});

function addError(error: unknown): void {
  const {currentlyRunningTest, unhandledErrors} = getState();
  (currentlyRunningTest?.errors ?? unhandledErrors).push(error as Error);
}
addEventListener('error', ({error}) => addError(error));
addEventListener('unhandledrejection', ({reason}) => addError(reason));

function statusOf({status, errors}: TestResult): TestReport['status'] {
  if (status === 'skip') return 'pending';
  if (status === 'todo') return 'todo';
  return errors.length > 0 ? 'failed' : 'passed';
}

export async function runTestFile({
  globals,
  modules,
  testNamePattern,
  testTimeout,
}: TestFile): Promise<FileReport> {
  Object.assign(globalThis, globals);
  const state = getState();
  if (testNamePattern) state.testNamePattern = new RegExp(testNamePattern, 'i');
  if (testTimeout) state.testTimeout = testTimeout;
  try {
    for (const module of modules) await import(module);
  } catch (error) {
    return {tests: [], errors: [(error as Error).stack ?? String(error)]};
  }
  const {testResults, unhandledErrors} = await run();
  const tests = testResults.map((result): TestReport => {
    const {testPath, duration, startedAt, failing, invocations, errors} = result;
    return {
      titles: testPath.slice(1),
      status: statusOf(result),
      duration: duration ?? null,
      startedAt: startedAt ?? null,
      passedAssertions: result.numPassingAsserts,
      failing: failing ?? false,
      invocations,
      errors,
    };
  });
  return {tests, errors: unhandledErrors};
}
