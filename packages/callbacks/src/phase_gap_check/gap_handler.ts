/** What is done with a gap: the `onGap` argument. */
import {argumentError} from '../callback_arguments.js';
import {formatPhaseGap, PhaseGapError} from './phase_gap.js';
import type {PhaseGapReport} from './phase_gap.js';

export type OnGap = 'throw' | 'warn' | ((report: PhaseGapReport) => void);

export class GapHandler {
  private isOpen = false;

  constructor(
    where: string,
    private readonly onGap: OnGap,
  ) {
    if (typeof onGap !== 'function' && !['throw', 'warn'].includes(onGap)) {
      throw argumentError(where, 'onGap', "'throw', 'warn' or a function", onGap);
    }
  }

  /** @throws PhaseGapError, or what the function that was given for this throws. */
  handle(report: PhaseGapReport): void {
    const wasOpen = this.isOpen;
    this.isOpen = report.isGap;
    if (!report.isGap) return;
    if (typeof this.onGap === 'function') this.onGap(report);
    else if (this.onGap === 'throw') throw new PhaseGapError(report);
    // A gap that stays open for a hundred epochs gives one warning.
    else if (!wasOpen) console.warn(formatPhaseGap(report));
  }

  /** Lets a gap that is open be told again. */
  reset(): void {
    this.isOpen = false;
  }
}
