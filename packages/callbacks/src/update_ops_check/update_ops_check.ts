/** The callback that checks, step by step, that batch-norm layers run their update ops. */
import type {Layer} from '@resbatchnorm/layer/introspection';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import {argumentError, checkArguments, watchedBatchNorms} from '../arguments.js';
import {FitCallback} from '../fit_callback.js';
import {LayerRecord, summaryOf, type LayerReport} from './layer_record.js';
import type {LayerSnapshot, StepInFit} from './layer_step.js';
import {compareReplicas} from './replicas.js';
import {
  ViolationHandler,
  type Finding,
  type OnViolation,
  type UpdateOpsViolation,
} from './violations.js';

export interface UpdateOpsCheckArgs {
  /**
   * What to do when a layer fails the check.
   * - `'throw'` (default): `fit`, `fitDataset` or `step` fail with an `UpdateOpsError`, that
   *   names each layer and the likely reason. What is only a warning goes to `console.warn`.
   * - `'warn'`: the same text goes to `console.warn`, each layer and reason once a training.
   * - a function: is called with the violations of each step or epoch that has any. What it
   *   throws ends the training.
   */
  onViolation?: OnViolation;
  /**
   * The layers that need not be called in each step, as in a residual branch that is dropped at
   * random (stochastic depth): names or paths of batch norms, or of what they are in; or a
   * function that is given a path, such as `block_3/bn`, and returns whether it may be.
   * Default: none.
   */
  mayBeSkipped?: readonly string[] | ((path: string) => boolean);
}

type Snapshots = Map<LayerRecord, LayerSnapshot>;

/**
 * Checks in every training step that batch normalization is trained as it should be: each
 * trainable batch-norm layer of the model must have run its update ops, which write its moving
 * mean and moving variance, and have gamma and beta trained; each frozen one must be left as
 * it is.
 *
 *     const check = new UpdateOpsCheck();
 *     await model.fit(x, y, {callbacks: [check, tfl.callbacks.earlyStopping({})]});
 *     console.table(check.report());
 *
 * Layers are `ResBatchNorm` and `tf.layers.batchNormalization`, also in nested models, in
 * wrappers, and in layers of your own that hold one. Frozen is a layer with
 * `trainable === false`, and a built-in one in a model with that.
 *
 * Reasons for which a layer fails:
 * - frozen but updated: the built-in layer does so, `ResBatchNorm` does not
 * - frozen but trained: gamma or beta were written
 * - frozen in the step, so that its update ops did not run
 * - never called in training mode in this step; but for those in `mayBeSkipped`
 * - one value a channel, as of a batch of 1 behind a dense layer, of which the variance is 0. A
 *   warning, if the batch before it was larger: then it is the last one of an epoch
 * - trained in inference mode: gamma or beta were written, and no update op was made
 * - thawed after compile: `fit` trains what was trainable when the model was compiled
 * - thawed in a frozen layer: it trains although something around it is frozen, since it was
 *   thawed, or added there, after that. A warning, once a training
 * - collected and not run: made inside `collectUpdateOps`, without `run()` afterwards
 * - at the end of an epoch: moving statistics that are NaN or infinite, a negative moving
 *   variance, and updates that were skipped because the batch's statistics were not finite.
 *   If only some of the epoch's updates were skipped, that is a warning, which is never thrown
 * - at the end of an epoch of several replicas: moving statistics that are not the same on all
 *
 * A `ResBatchNorm` counts its update ops, and a write gives a variable another `dataId`, so a
 * step is checked without reading anything back from the device; the end of an epoch reads the
 * moving statistics once.
 *
 * One check may be used for several trainings: the report adds up until `reset()`. In `fit`
 * and `fitDataset` an error is thrown after the step that failed, and no tensor leaks.
 */
export class UpdateOpsCheck extends FitCallback {
  static override readonly className = 'UpdateOpsCheck';

  private readonly handler: ViolationHandler;
  private readonly mayBeSkipped: (path: string) => boolean;
  private readonly records = new Map<Layer, LayerRecord>();
  /** The steps of `step()`; those of `fit` are told by epoch and batch. */
  private stepsDone = 0;
  private epoch = 0;
  /** The layers of the model in `fit`, and what they were before the step. */
  private layersInFit: LayerRecord[] = [];
  private before: Snapshots = new Map();

  /** @throws ValueError if an argument is unknown or wrong. */
  constructor(args: UpdateOpsCheckArgs = {}) {
    super();
    checkArguments('UpdateOpsCheck', args, ['onViolation', 'mayBeSkipped']);
    const {onViolation = 'throw', mayBeSkipped = []} = args;
    this.handler = new ViolationHandler(onViolation);
    this.mayBeSkipped = pathTest(mayBeSkipped);
  }

  protected override trainBegin(): void {
    this.handler.reset();
    this.layersInFit = this.recordsOf(this.model, 'UpdateOpsCheck');
    this.layersInFit.forEach(record => record.trainBegin());
  }

  protected override epochBegin(epoch: number): void {
    this.epoch = epoch;
  }

  protected override stepBegin(): void {
    this.before = takeSnapshots(this.layersInFit);
  }

  protected override stepEnd(step: number): void {
    const when = `epoch ${this.epoch + 1}, batch ${step + 1}`;
    const {stepInEpoch} = this.position;
    const isLastOfEpoch = stepInEpoch > 1 && stepInEpoch === this.knownStepsPerEpoch();
    this.checkStep(this.before, when, {model: this.model, isLastOfEpoch});
  }

  protected override async epochEnd(epoch: number): Promise<void> {
    await this.look(this.layersInFit, `end of epoch ${epoch + 1}`);
  }

  /**
   * Runs `fn`, which is to do one training step, and checks the step as in `fit`:
   *
   *     await check.step(model, () => model.trainOnBatch(x, y));
   *     check.step(model, () => optimizer.minimize(() => loss(model.apply(x, {training: true}))));
   *
   * @param model the model whose batch-norm layers the step is to update.
   * @param fn the step; may be async.
   * @returns what `fn` returns: if that is a promise, one for the same value.
   * @throws ValueError if an argument is wrong; what `fn` throws, unchanged; UpdateOpsError,
   *     in which case tensors that `fn` made and returned are disposed of.
   */
  step<T>(model: tfl.LayersModel, fn: () => T): T {
    if (typeof fn !== 'function') {
      const expected = 'a function that does one training step';
      throw argumentError('UpdateOpsCheck.step', 'fn', expected, fn);
    }
    const before = takeSnapshots(this.recordsOf(model, 'UpdateOpsCheck.step'));
    const firstTensorId = nextTensorId();
    const finish = <R>(result: R): R => {
      this.stepsDone += 1;
      try {
        this.checkStep(before, `step ${this.stepsDone}`);
      } catch (error) {
        disposeTensorsSince(firstTensorId, result);
        throw error;
      }
      return result;
    };
    const result = fn();
    return isPromise(result) ? (result.then(finish) as T) : finish(result);
  }

  /**
   * For custom loops: what `fit` does at the end of each epoch. Reads the moving statistics
   * of the model back, and looks for values that are not finite, negative variances and
   * skipped updates. Of several replicas each has to call it, as their statistics are compared.
   *
   * @throws ValueError if `model` is wrong; UpdateOpsError.
   */
  async checkStatistics(model: tfl.LayersModel): Promise<void> {
    const records = this.recordsOf(model, 'UpdateOpsCheck.checkStatistics');
    await this.look(records, `after step ${this.stepsDone}`);
  }

  /** Per layer: steps seen, updates run, and more; over all trainings since `reset()`. */
  report(): LayerReport[] {
    return [...this.records.values()].map(record => record.report());
  }

  /**
   * The report in one line: `9 layers × 798 steps = 7,182 updates run, 0 skipped as
   * non-finite`.
   */
  summary(): string {
    return summaryOf(this.report());
  }

  /** Starts the report anew, and lets go of the layers seen. */
  reset(): void {
    this.records.clear();
    this.handler.reset();
    this.stepsDone = 0;
  }

  private recordsOf(model: tfl.LayersModel, where: string): LayerRecord[] {
    return watchedBatchNorms(where, model).map(norm => {
      const record = this.records.get(norm.layer) ?? new LayerRecord(norm);
      record.norm = norm;
      record.mayBeSkipped = norm.paths.some(this.mayBeSkipped);
      this.records.set(norm.layer, record);
      return record;
    });
  }

  private checkStep(before: Snapshots, when: string, inFit?: StepInFit): void {
    const violations = [...before].flatMap(([record, snapshot]) =>
      toViolations(record, record.addStep(snapshot, inFit), when),
    );
    this.handler.handle(violations);
  }

  private async look(records: LayerRecord[], when: string): Promise<void> {
    const findings = await Promise.all(records.map(record => record.look()));
    const differences = await compareReplicas(records.map(({norm}) => norm.layer));
    this.handler.handle(
      records.flatMap((record, i) =>
        toViolations(record, [...findings[i], ...differences[i]], when),
      ),
    );
  }
}

/** @throws ValueError if `mayBeSkipped` is wrong. */
function pathTest(
  mayBeSkipped: Required<UpdateOpsCheckArgs>['mayBeSkipped'],
): (path: string) => boolean {
  if (typeof mayBeSkipped === 'function') return path => mayBeSkipped(path);
  const isList =
    Array.isArray(mayBeSkipped) && mayBeSkipped.every(name => typeof name === 'string');
  if (!isList) {
    const expected = 'an array of names of layers, or a function that is given a path';
    throw argumentError('UpdateOpsCheck', 'mayBeSkipped', expected, mayBeSkipped);
  }
  // With slashes around, a name is found as a whole, and a path from any layer to another.
  return path => mayBeSkipped.some(name => `/${path}/`.includes(`/${name}/`));
}

function takeSnapshots(records: LayerRecord[]): Snapshots {
  return new Map(records.map(record => [record, record.snapshot()]));
}

function toViolations(
  record: LayerRecord,
  findings: Finding[],
  when: string,
): UpdateOpsViolation[] {
  record.violations += findings.length;
  const {layer, className} = record;
  return findings.map(finding => ({layer, className, ...finding, when}));
}

/** Tensors get increasing ids, so this one tells older tensors from newer. */
function nextTensorId(): number {
  return tf.tidy(() => tf.scalar(0).id);
}

/** What was returned may hold tensors that the caller goes on using: those made earlier. */
function disposeTensorsSince(firstTensorId: number, result: unknown): void {
  const tensors = tf.tensor_util.getTensorsInContainer(result as tf.TensorContainer);
  tf.dispose(
    tensors.filter(
      tensor => tensor.id > firstTensorId && !(tensor instanceof tf.Variable),
    ),
  );
}

function isPromise(value: unknown): value is Promise<unknown> {
  return (
    typeof (value as Partial<Promise<unknown>> | null | undefined)?.then === 'function'
  );
}
