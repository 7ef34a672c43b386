// What Jest wants to know of a test file, from what the page tells.
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
