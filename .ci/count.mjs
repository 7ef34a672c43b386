// Prints "N passed, N failed" from Jest's JSON result, and exits by it and by the number of
// stages that failed.
import {readFileSync} from 'node:fs';

const [file, failedStages] = process.argv.slice(2);
const {numPassedTests, numFailedTests, numRuntimeErrorTestSuites, testResults} =
  JSON.parse(readFileSync(file, 'utf8'));
for (const {name, status, message} of testResults) {
  if (status === 'failed')
    console.error(`${name.replace(process.cwd(), '.')}\n${message}`);
}
if (failedStages > 0) console.error(`${failedStages} stages failed, see above`);
// A test file that could not run counts as a test that failed.
const failed = numFailedTests + numRuntimeErrorTestSuites;
console.log(`${numPassedTests} passed, ${failed} failed`);
process.exitCode = failed > 0 || failedStages > 0 || numPassedTests === 0 ? 1 : 0;
