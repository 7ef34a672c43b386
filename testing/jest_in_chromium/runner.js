// A Jest runner that runs test files in headless Chromium, each in a page of its own. It
// takes the set-up files, the globals and the file patterns of the Jest project; what Node
// has, the tests do not have.
import {clearTimeout, setTimeout} from 'node:timers';

import {openChromium} from '@resbatchnorm/testing/chromium';

import {bundleTests, urlOf} from './bundle_tests.js';
import {sourcePositions, testResult} from './test_result.js';

export default class ChromiumRunner {
  /**
   * `patience`: for how many milliseconds a page may be silent beyond what a test may take. A
   * page that hangs can not end its test by itself.
   */
  constructor(globalConfig, _context, {patience = 60_000} = {}) {
    this.globalConfig = globalConfig;
    this.patience = patience;
  }

  async runTests(tests, watcher, onStart, onResult, onFailure, {serial}) {
    const setUpFiles = tests.flatMap(({context}) => context.config.setupFilesAfterEnv);
    const {files, errors} = await bundleTests(
      [...new Set(tests.map(({path}) => path))],
      [...new Set(setUpFiles)],
    );
    const toSource = sourcePositions(files);
    const queue = [...tests];
    const runQueue = async () => {
      const chromium = await openChromium(files);
      try {
        while (queue.length > 0 && !watcher.isInterrupted()) {
          const test = queue.shift();
          await onStart(test);
          let result;
          try {
            if (errors.has(test.path)) throw errors.get(test.path);
            result = await this.runFile(test, chromium, toSource);
          } catch ({message}) {
            await onFailure(test, {message: '', stack: toSource(message)});
            continue;
          }
          await onResult(test, result);
        }
      } finally {
        await chromium.close();
      }
    };
    // All pages of a Chromium wait for its one GPU process, so each queue has its own.
    const queues = serial ? 1 : Math.min(this.globalConfig.maxWorkers, tests.length);
    await Promise.all(Array.from({length: queues}, runQueue));
  }

  async runFile(test, chromium, toSource) {
    const start = Date.now();
    const page = await chromium.openPage();
    try {
      const console = collectConsole(page, toSource);
      const {tests, errors} = await this.runInPage(page, test);
      if (tests.length === 0) throw new Error(errors[0] ?? 'The file has no tests.');
      const report = {
        tests: tests.map(result => ({...result, errors: result.errors.map(toSource)})),
        errors: errors.map(toSource),
      };
      const {globalConfig} = this;
      return testResult(report, {test, globalConfig, console, start});
    } finally {
      // A page that hangs does not close. It ends with the browser.
      page.close().catch(() => {});
    }
  }

  async runInPage(page, {path, context: {config}}) {
    const {testNamePattern, testTimeout} = this.globalConfig;
    const file = {
      globals: config.globals,
      modules: [...config.setupFilesAfterEnv, path].map(urlOf),
      testNamePattern,
      testTimeout,
    };
    const watch = watchPage(page, this.patience);
    try {
      await page.exposeFunction('onStep', watch.onStep);
      const run = page.evaluate(
        async file => (await import('/page.js')).runTestFile(file),
        file,
      );
      return await Promise.race([run, watch.failure]);
    } finally {
      watch.end();
    }
  }
}

/** `failure` rejects when the page ends, or is silent for longer than a step may take. */
function watchPage(page, patience) {
  let running = 'loading the file';
  let timer;
  let fail;
  const failure = new Promise((_, reject) => {
    fail = message => reject(new Error(message));
  });
  // Nobody may be waiting for it any more.
  failure.catch(() => {});
  const onStep = ({name, timeout}) => {
    running = name;
    clearTimeout(timer);
    const limit = timeout + patience;
    const message = `The page hangs: no sign for ${limit / 1000} s of ${name}`;
    timer = setTimeout(fail, limit, message);
  };
  onStep({name: running, timeout: 0});
  page.once('crash', () => fail(`The page crashed during: ${running}`));
  page.once('close', () => fail(`The browser ended during: ${running}`));
  return {failure, onStep, end: () => clearTimeout(timer)};
}

const consoleTypes = {warning: 'warn', error: 'error', info: 'info', debug: 'debug'};

/** What the page writes to its console, from now on, as Jest shows it. */
function collectConsole(page, toSource) {
  const buffer = [];
  page.on('console', message => {
    const {url, lineNumber, columnNumber} = message.location();
    buffer.push({
      type: consoleTypes[message.type()] ?? 'log',
      message: message.text(),
      origin: toSource(`at ${url}:${lineNumber + 1}:${columnNumber + 1}`),
    });
  });
  return buffer;
}
