// Names the backends that the tests could not run on, last of all. In CI that is a failure.
import {absentBackends} from './backends.js';

export default class AbsentBackendsReporter {
  onRunComplete() {
    for (const {name, absence} of absentBackends) {
      process.stderr.write(`\nNot tested: backend ${name}: ${absence}.\n`);
    }
  }

  getLastError() {
    if (process.env.CI !== 'true' || absentBackends.length === 0) return undefined;
    const names = absentBackends.map(({name}) => name).join(', ');
    return new Error(`In CI no backend may be absent: ${names}.`);
  }
}
