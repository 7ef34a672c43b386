/** What is done with violations: the `onViolation` argument. */
import {describe, ValueError} from '../errors.js';
import {formatViolations, UpdateOpsError} from './violations.js';
import type {UpdateOpsViolation} from './violations.js';

export type OnViolation =
  'throw' | 'warn' | ((violations: readonly UpdateOpsViolation[]) => void);

export class ViolationHandler {
  private readonly warned = new Set<string>();

  constructor(private readonly onViolation: OnViolation) {
    if (!['throw', 'warn'].includes(onViolation as string) && !isFunction(onViolation)) {
      throw new ValueError(
        `UpdateOpsCheck: argument 'onViolation' must be 'throw', 'warn' or a function. ` +
          `Received: ${describe(onViolation)}`,
      );
    }
  }

  /** @throws UpdateOpsError, or what the function that was given for this throws. */
  handle(violations: readonly UpdateOpsViolation[]): void {
    if (violations.length === 0) return;
    if (isFunction(this.onViolation)) {
      this.onViolation(violations);
      return;
    }
    const throws = this.onViolation === 'throw';
    const errors = violations.filter(({severity}) => throws && severity === 'error');
    this.warn(violations.filter(violation => !errors.includes(violation)));
    if (errors.length > 0) throw new UpdateOpsError(errors);
  }

  /** Lets warnings that were given already be given again. */
  reset(): void {
    this.warned.clear();
  }

  /** Thousands of steps that fail in the same way give one warning. */
  private warn(violations: readonly UpdateOpsViolation[]): void {
    const key = ({layer, message}: UpdateOpsViolation) => `${layer}: ${message}`;
    const fresh = violations.filter(violation => !this.warned.has(key(violation)));
    fresh.forEach(violation => this.warned.add(key(violation)));
    if (fresh.length > 0) console.warn(formatViolations(fresh));
  }
}

function isFunction(value: OnViolation): value is Exclude<OnViolation, string> {
  return typeof value === 'function';
}
