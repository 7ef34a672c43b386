/** An UpdateOpsCheck that throws nothing, and what it finds. */
import {UpdateOpsCheck} from '../src';
import type {UpdateOpsCheckArgs, UpdateOpsViolation} from '../src';

export function collectingCheck(args: UpdateOpsCheckArgs = {}) {
  const violations: UpdateOpsViolation[] = [];
  const onViolation = (found: readonly UpdateOpsViolation[]) =>
    void violations.push(...found);
  return {
    check: new UpdateOpsCheck({onViolation, ...args}),
    violations,
    reasons: () => violations.map(({reason}) => reason),
  };
}
