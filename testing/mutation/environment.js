// The environment of the project `cpu`, in which a mutant is killed as early as it can be: after
// the first test that fails no other runs, and those that take seconds never do.
import BackendEnvironment from '../jest/environment.js';

const SLOW = /^200 steps|after step 1,000$/;

export default class MutationEnvironment extends BackendEnvironment {
  handleTestEvent({name, test, testNamePattern}) {
    if (name === 'setup') this.global.testNamePattern = testNamePattern;
    if (name === 'test_fn_failure') this.hasFailed = true;
    if (name === 'test_start' && (this.hasFailed || SLOW.test(test.name))) {
      test.mode = 'skip';
    }
  }
}
