/** What the check has seen of one batch norm so far, and the report of it. */
import {
  findWeight,
  isResBatchNorm,
  isTrained,
  type BatchNorm,
  type Layer,
  type UpdateCounts,
} from '@resbatchnorm/layer/introspection';

import {counted, integer} from '../counted.js';
import {
  findingsIn,
  takeSnapshot,
  updatesIn,
  weightsOf,
  type LayerSnapshot,
  type NormWeights,
  type StepInFit,
} from './layer_step.js';
import {
  alwaysSkipped,
  negativeVariance,
  nonFiniteStatistics,
  skippedAsNonFinite,
  type Finding,
} from './violations.js';

/** A line of `check.report()`. */
export interface LayerReport {
  /** The layer's path in the model, such as `encoder/bn_1`. */
  layer: string;
  /** The layer's class, `ResBatchNorm` or `BatchNormalization`. */
  className: string;
  /** Whether the layer was frozen in the last step seen. */
  frozen: boolean;
  /** Steps seen. */
  steps: number;
  /**
   * Update ops run in those steps. A `ResBatchNorm` counts each one, so a layer that is
   * shared by two branches has two a step; the built-in layer has one for each step in which
   * its statistics were written.
   */
  updates: number;
  /**
   * How many of the updates were skipped, as the batch's statistics were not finite; known
   * up to the last end of an epoch. Only a `ResBatchNorm` has it.
   */
  skippedUpdates?: number;
  /** How often the layer failed the check. */
  violations: number;
}

/** A layer that may be skipped, and is so in as many steps, is taken to be never called. */
const MOST_SKIPPED = 100;

export class LayerRecord {
  violations = 0;
  /** Whether the user said that the layer need not be called in each step. */
  mayBeSkipped = false;
  private frozen: boolean;
  private steps = 0;
  private updates = 0;
  private skipped = 0;
  /** The layer's own counts at the last look at its statistics. */
  private lastRun: number;
  private lastSkipped: Promise<number>;
  private weights: NormWeights;
  /** The reasons that warnings were given for since the training began. */
  private readonly warnedOf = new Set<string>();
  /** Steps in a row without an update, of a layer that is to be trained. */
  private stepsSkipped = 0;

  /** `norm` is set anew when the layer is met again: it may be in another model then. */
  constructor(public norm: BatchNorm) {
    this.frozen = !isTrained(norm);
    this.weights = weightsOf(norm);
    const counts = updateCountsOf(norm);
    this.lastRun = counts?.updateCount ?? 0;
    // A layer that was trained before has to be asked; a new one need not be read back.
    this.lastSkipped =
      counts && counts.updateCount > 0
        ? counts.readSkippedUpdateCount()
        : Promise.resolve(0);
    // It is awaited at the end of the epoch, which an aborted training never reaches.
    this.lastSkipped.catch(() => {});
  }

  get layer(): string {
    return this.norm.paths[0];
  }

  get className(): string {
    return this.norm.layer.getClassName();
  }

  /** Lets warnings that were given already be given again. */
  trainBegin(): void {
    this.warnedOf.clear();
    this.stepsSkipped = 0;
  }

  snapshot(): LayerSnapshot {
    // A layer has the same weights from when it is built, and is asked for them until then.
    if (this.weights.statistics.length === 0) this.weights = weightsOf(this.norm);
    return takeSnapshot(this.norm, this.weights);
  }

  addStep(before: LayerSnapshot, inFit?: StepInFit): Finding[] {
    const after = this.snapshot();
    const {norm, weights, mayBeSkipped} = this;
    const wasCalled = this.updates > 0;
    const step = {norm, weights, before, after, wasCalled, mayBeSkipped, inFit};
    const updates = updatesIn(step);
    this.frozen = !before.isTrained;
    this.steps += 1;
    this.updates += updates;
    this.stepsSkipped = updates > 0 || this.frozen ? 0 : this.stepsSkipped + 1;
    return findingsIn(step).filter(finding => !this.isWarnedOf(finding));
  }

  /** Reads the statistics back, and the count of skipped updates. */
  async look(): Promise<Finding[]> {
    const findings = [
      ...this.findingsOfSkipped(),
      ...(await checkStatistics(this.norm.layer)),
    ];
    const counts = updateCountsOf(this.norm);
    if (!counts) return findings;
    const run = counts.updateCount - this.lastRun;
    this.lastRun = counts.updateCount;
    const before = await this.lastSkipped;
    const after = await counts.readSkippedUpdateCount();
    this.lastSkipped = Promise.resolve(after);
    const skipped = after - before;
    this.skipped += skipped;
    return skipped > 0 ? [...findings, skippedAsNonFinite(skipped, run)] : findings;
  }

  report(): LayerReport {
    const {layer, className, frozen, steps, updates, skipped, violations} = this;
    return {
      layer,
      className,
      frozen,
      steps,
      updates,
      ...(updateCountsOf(this.norm) && {skippedUpdates: skipped}),
      violations,
    };
  }

  private findingsOfSkipped(): Finding[] {
    if (!this.mayBeSkipped || this.stepsSkipped < MOST_SKIPPED) return [];
    const finding = alwaysSkipped(this.stepsSkipped);
    return this.isWarnedOf(finding) ? [] : [finding];
  }

  /** What is a warning in one step is so in all that follow: it is given once. */
  private isWarnedOf({severity, reason}: Finding): boolean {
    if (severity === 'error') return false;
    const isGiven = this.warnedOf.has(reason);
    this.warnedOf.add(reason);
    return isGiven;
  }
}

/** Undefined of the built-in layer, which does not count. */
function updateCountsOf({layer}: BatchNorm): UpdateCounts | undefined {
  return isResBatchNorm(layer) ? layer : undefined;
}

/** Reads moving statistics back and says what is wrong with their values. */
async function checkStatistics(layer: Layer): Promise<Finding[]> {
  const [mean, variance] = await Promise.all([
    readWeight(layer, 'moving_mean'),
    readWeight(layer, 'moving_variance'),
  ]);
  const findings: Finding[] = [];
  for (const [name, values] of Object.entries({
    moving_mean: mean,
    moving_variance: variance,
  })) {
    const bad = values.filter(value => !Number.isFinite(value)).length;
    if (bad > 0) findings.push(nonFiniteStatistics(name, bad, values.length));
  }
  const negative = variance.filter(value => value < 0 && Number.isFinite(value));
  if (negative.length > 0) {
    const lowest = negative.reduce((a, b) => Math.min(a, b));
    findings.push(negativeVariance(lowest, negative.length, variance.length));
  }
  return findings;
}

async function readWeight(layer: Layer, name: string): Promise<number[]> {
  const values = await findWeight(layer, name)?.read().data();
  return Array.from(values ?? []);
}

/** What became of the update ops of all layers, in one line. */
export function summaryOf(report: readonly LayerReport[]): string {
  const total = (of: (layer: LayerReport) => number) =>
    report.reduce((sum, layer) => sum + of(layer), 0);
  const steps = Math.max(0, ...report.map(layer => layer.steps));
  const updates = total(layer => layer.updates);
  const layers = counted(report.length, 'layer');
  const inSteps = counted(steps, 'step');
  const run = `${counted(updates, 'update')} run`;
  const skipped = `${integer(total(layer => layer.skippedUpdates ?? 0))} skipped as non-finite`;
  const counts =
    report.length * steps === updates
      ? `${layers} × ${inSteps} = ${run}`
      : `${layers}, ${inSteps}, ${run}`;
  return `${counts}, ${skipped}`;
}
