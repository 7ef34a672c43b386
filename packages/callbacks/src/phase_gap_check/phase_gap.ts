/** What a check saw, in words, the error that says so, and what is done with a gap. */
import {argumentError} from '../arguments.js';
import {counted} from '../counted.js';
import type {LayerGap} from './layer_gap.js';
import type {LossAndMetrics} from './probe.js';

/** What one check saw. */
export interface PhaseGapReport {
  /** The epoch, counted from 0; null outside of `fit`. */
  epoch: number | null;
  /** How many examples were probed. */
  examples: number;
  /** The loss and each metric with the batch norms in training mode. */
  training: LossAndMetrics;
  /** The loss and each metric with all in inference mode. */
  inference: LossAndMetrics;
  /** (loss in inference mode − loss in training mode)/|loss in training mode|. */
  lossGap: number;
  /** The batch norms that are not frozen, in the order of the model. */
  layers: LayerGap[];
  /** Whether the two modes are further apart than the thresholds allow. */
  isGap: boolean;
}

const MOST_NAMED = 3;

/** A headline, the layers that are furthest off, and what helps. */
function formatPhaseGap(report: PhaseGapReport): string {
  const {epoch, examples, training, inference} = report;
  const when = epoch === null ? '' : `, epoch ${epoch + 1}`;
  const values = Object.keys(training).map(
    name => `${name} ${show(training[name])} → ${show(inference[name])}`,
  );
  const furthest = [...report.layers]
    .sort((a, b) => b.distance - a.distance)
    .slice(0, MOST_NAMED);
  return [
    `PhaseGapCheck${when}: the model is worse in inference mode than in training mode on ` +
      `the same ${counted(examples, 'example')}: ${values.join(', ')}.`,
    ...furthest.map(
      ({layer, className, meanDistance, varianceDistance, message}) =>
        `${layer} (${className}): mean off by ${show(meanDistance)}, variance by ` +
        `${show(varianceDistance)}: ${message}.`,
    ),
    'recalibrate() of @resbatchnorm/layer computes the moving statistics anew from data.',
  ].join('\n  ');
}

function show(value: number): string {
  return Number(value.toPrecision(3)).toString();
}

/** Thrown by `PhaseGapCheck`: the message names the layers that are furthest off, and why. */
export class PhaseGapError extends Error {
  override readonly name = 'PhaseGapError';

  constructor(readonly report: PhaseGapReport) {
    super(formatPhaseGap(report));
  }
}

/** The `onGap` argument. */
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
