// What Jest wants to know of a test file, from what the page tells: its results, and stacks that
// lead back to the sources.
import {SourceMap} from 'node:module';

import {createEmptyTestResult} from '@jest/test-result';
import {formatExecError, formatResultsErrors} from 'jest-message-util';

/** `errors` of the report and of its tests are stacks that lead to the sources. */
export function testResult({tests, errors}, {test, globalConfig, console, start}) {
  const {config} = test.context;
  const results = tests.map(assertionResult);
  const count = status => results.filter(result => result.status === status).length;
  const end = Date.now();
  const runtime = end - start;
  const empty = createEmptyTestResult();
  const ofFile = errors.map(stack => ({message: '', stack}));
  const messages = [
    formatResultsErrors(results, config, globalConfig, test.path),
    ...ofFile.map(error => formatExecError(error, config, globalConfig, test.path)),
  ].filter(Boolean);
  return {
    ...empty,
    console: console.length > 0 ? console : undefined,
    displayName: config.displayName,
    failureMessage: messages.length > 0 ? messages.join('\n') : null,
    numFailingTests: count('failed'),
    numPassingTests: count('passed'),
    numPendingTests: count('pending'),
    numTodoTests: count('todo'),
    perfStats: {
      ...empty.perfStats,
      start,
      end,
      runtime,
      slow: runtime / 1000 > config.slowTestThreshold,
    },
    skipped: results.length === count('pending'),
    testExecError:
      errors.length > 0 ? {message: '', stack: errors.join('\n')} : undefined,
    testFilePath: test.path,
    testResults: results,
  };
}

function assertionResult({titles, status, errors, passedAssertions, startedAt, ...rest}) {
  return {
    ancestorTitles: titles.slice(0, -1),
    title: titles.at(-1),
    fullName: titles.join(' '),
    status,
    failureMessages: errors,
    failureDetails: [],
    numPassingAsserts: passedAssertions,
    startAt: startedAt,
    location: null,
    retryReasons: [],
    ...rest,
  };
}

/** Whether a line of a stack is of the way to the test, and not of the test. */
const isCaller = line =>
  /^\s+at .*(\/testing\/jest_in_chromium\/(page|node_shims)\.ts:|<anonymous>:\d)/.test(
    line,
  );

/**
 * A function that replaces the file and line of the bundle by those of the source, in
 * the stack of an error.
 */
export function sourcePositions(files) {
  const maps = new Map();
  const mapOf = pathname => {
    if (!maps.has(pathname)) {
      const text = files.get(`${pathname}.map`);
      maps.set(pathname, text && new SourceMap(JSON.parse(text)));
    }
    return maps.get(pathname);
  };
  const toSource = line =>
    line.replace(
      /https?:\/\/127\.0\.0\.1:\d+(\/[^\s:)]+):(\d+):(\d+)/g,
      (position, pathname, line, column) => {
        const entry = mapOf(pathname)?.findEntry(line - 1, column - 1);
        if (entry?.originalSource === undefined) return position;
        // Sources are relative to the root of the file system.
        return `/${entry.originalSource}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
      },
    );
  return stack =>
    stack
      .split('\n')
      .map(toSource)
      .filter(line => !isCaller(line))
      .join('\n');
}
