import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {
  ArgumentObjects,
  optionsOf,
  savedOptions,
  type LayerOptions,
  type ResBatchNormArgs,
} from './arguments.js';
import {RES_BATCH_NORM, type UpdateCounts} from './batch_norms.js';
import {STATISTICS_LISTENERS, type StatisticsListener} from './batch_statistics.js';
import {batchNormInference} from './norm/batch_norm.js';
import {epilogueOf, type Epilogue} from './norm/epilogue.js';
import {normalizeBatch, wholeVariance, type VariantResult} from './norm/variants.js';
import type {Synchronization} from './norm/synchronized.js';
import {withMomentWeights} from './norm/weighted_moments.js';
import {channelAxis} from './channel_view.js';
import {checkArgs} from './check_arguments.js';
import {
  checkInputs,
  checkInputShapes,
  checkInputType,
  checkKwargs,
  type CallKwargs,
  type CheckedInputs,
  type Kwargs,
} from './call.js';
import {MovingStatistics, ruleOf, stateVariables, unbiased} from './moving_statistics.js';
import {replicaGroup} from './replica_group.js';
import {emitUpdateOp} from './update_ops.js';

// There in every runtime, and in neither of the type libraries that they share.
declare const console: {warn(message: string): void};

type Tensors = tf.Tensor | tf.Tensor[];
type SymbolicTensors = tfl.SymbolicTensor | tfl.SymbolicTensor[];

/**
 * Batch normalization that keeps its moving statistics right: updated in every training step,
 * untouched in every other, saved with the model, and checked when loaded.
 *
 * In training mode, over all axes but `axis`,
 *
 *     y = gamma·(x − mean)/√(variance + epsilon) + beta
 *
 * with the mean and the biased variance of the batch, and the moving statistics follow:
 *
 *     moving_mean     = moving_mean·momentum     + mean·(1 − momentum)
 *     moving_variance = moving_variance·momentum + variance·(1 − momentum)
 *
 * In inference mode the moving statistics take the place of the batch's.
 *
 * `fit` calls layers in training mode, `predict` and `evaluate` in inference mode; elsewhere
 * say so: `layer.apply(x, {training: true})`. With `trainable = false` the mode is inference
 * whatever the call says: neither the statistics nor gamma and beta change. As in Keras 3,
 * setting `trainable` on a model, a wrapper or any layer around it sets that of the layer, and
 * the last word wins.
 *
 * Input: [batch, …] of rank 2 or more, or [x, shortcut] of the same shape, for
 * y = activation(norm(x) + shortcut), the end of a residual block. Output: the same shape,
 * float32.
 *
 * Weights: gamma, beta (trainable; left out by `scale: false`, `center: false`), moving_mean,
 * moving_variance (not trainable); [channels] each. Some arguments add more after these.
 *
 * The update of the moving statistics is an update op: it runs at once, or is collected by
 * `collectUpdateOps`. An empty batch makes none. A batch with a value a channel has variance
 * 0, so that y = beta. In training mode a mask leaves positions out of the moments, as in
 * Keras 3, and is passed on.
 *
 * Source: Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by
 * Reducing Internal Covariate Shift", 2015.
 */
export class ResBatchNorm extends tfl.layers.Layer implements UpdateCounts {
  static readonly className = 'ResBatchNorm';

  private readonly options: LayerOptions;
  private readonly objects: ArgumentObjects;
  private readonly epilogue: Epilogue;

  private gamma: tfl.LayerVariable | null = null;
  private beta: tfl.LayerVariable | null = null;
  /** Null before the layer is built, and where it has none. */
  private moving: MovingStatistics | null = null;

  private isApplied = false;
  private hasAskedForMode = false;
  private lastCount: number | null = null;
  private madeCount = 0;
  private runCount = 0;

  /** @internal How other copies of this package know the class. */
  readonly [RES_BATCH_NORM] = true;
  /** @internal See batch_statistics.ts. */
  readonly [STATISTICS_LISTENERS] = new Set<StatisticsListener>();

  /** @throws ValueError if an argument is unknown or has a value that it can't have. */
  constructor(args?: ResBatchNormArgs) {
    const checked = checkArgs(args);
    super(checked);
    this.options = optionsOf(checked);
    this.objects = new ArgumentObjects(checked);
    this.epilogue = epilogueOf(this.options.activation);
    this.supportsMasking = true;
  }

  /** Whether there are moving statistics, and so update ops: `trackMovingStatistics`. */
  get hasMovingStatistics(): boolean {
    return this.options.trackMovingStatistics;
  }

  /** How many update ops the training calls have made. */
  get updateOpCount(): number {
    return this.madeCount;
  }

  /** How many update ops have run; less than were made if some were collected and not run. */
  get updateCount(): number {
    return this.runCount;
  }

  /**
   * How many values each channel had in the last training call; null before one, and where a
   * mask or weights have the device count. Of one value the variance is 0.
   */
  get lastValueCount(): number | null {
    return this.lastCount;
  }

  /** The axis of the channels. */
  get axis(): number {
    return this.options.axis;
  }

  /** What is added to the variance under the root. */
  get epsilon(): number {
    return this.options.epsilon;
  }

  /** The weight of the old value in the moving statistics; null for the plain average. */
  get momentum(): number | null {
    return this.options.momentum;
  }

  /** Whether the moving variance follows the unbiased variance of the batch. */
  get unbiasedMovingVariance(): boolean {
    return this.options.unbiasedMovingVariance;
  }

  /** Whether training calls of several replicas normalize by the statistics of all their batches. */
  get synchronized(): boolean {
    return this.options.synchronized;
  }

  /**
   * How many of the update ops that ran left the statistics as they were, because the batch's
   * were not finite (`nonFiniteUpdates: 'skip'`). Reads one number back from the device.
   */
  async readSkippedUpdateCount(): Promise<number> {
    return this.moving === null ? 0 : this.moving.readSkippedCount();
  }

  override build(inputShape: tfl.Shape | tfl.Shape[]): void {
    const {axis, center, scale, trackMovingStatistics} = this.options;
    const {shapes, channels} = checkInputShapes(this.name, inputShape, axis);
    this.inputSpec = shapes.map(({length: ndim}) => {
      const axes = {[channelAxis(ndim, axis)]: channels};
      return new tfl.InputSpec({ndim, axes});
    });
    const {parsed} = this.objects;
    if (scale) {
      this.gamma = this.addWeight(
        'gamma',
        [channels],
        'float32',
        parsed.gammaInitializer,
        parsed.gammaRegularizer,
        true,
        parsed.gammaConstraint,
      );
    }
    if (center) {
      this.beta = this.addWeight(
        'beta',
        [channels],
        'float32',
        parsed.betaInitializer,
        parsed.betaRegularizer,
        true,
        parsed.betaConstraint,
      );
    }
    if (trackMovingStatistics) this.moving = this.addMovingStatistics(channels);
    // The weights of a layer that was frozen before it had any are frozen, too.
    this.trainable = super.trainable;
    this.built = true;
  }

  private addMovingStatistics(channels: number): MovingStatistics {
    const {momentum, renormMomentum, epsilon, nonFiniteUpdates} = this.options;
    const rule = ruleOf(this.options);
    const variables: Record<string, tfl.LayerVariable> = {};
    for (const variable of stateVariables(rule, this.objects.parsed)) {
      const {name, perChannel, dtype, initializer} = variable;
      const shape = perChannel ? [channels] : [];
      variables[name] = this.addWeight(name, shape, dtype, initializer, undefined, false);
    }
    return new MovingStatistics(this.name, variables, {
      rule,
      momentum: momentum ?? 0,
      renormMomentum,
      epsilon,
      skipNonFinite: nonFiniteUpdates === 'skip',
    });
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape {
    return checkInputShapes(this.name, inputShape, this.options.axis).shapes[0];
  }

  /**
   * @param inputs x, or [x, shortcut].
   * @param kwargs The mode, and what counts in training mode; see {@link CallKwargs}.
   * @throws ValueError if an input or an argument can't be used, or is not known.
   */
  override apply(inputs: Tensors, kwargs?: CallKwargs): tf.Tensor;
  override apply(inputs: SymbolicTensors, kwargs?: CallKwargs): tfl.SymbolicTensor;
  override apply(
    inputs: Tensors | SymbolicTensors,
    kwargs?: CallKwargs,
  ): Tensors | SymbolicTensors;
  override apply(
    inputs: Tensors | SymbolicTensors,
    kwargs?: CallKwargs,
  ): Tensors | SymbolicTensors {
    checkInputType(this.name, inputs);
    checkKwargs(this, inputs, kwargs);
    this.isApplied = true;
    try {
      return super.apply(inputs, kwargs as Kwargs);
    } finally {
      this.isApplied = false;
    }
  }

  override call(inputs: Tensors, kwargs: Kwargs): tf.Tensor {
    const listeners = this[STATISTICS_LISTENERS];
    const isTrial = listeners.size > 0 && [...listeners].some(({isTrial}) => isTrial);
    const isTraining = isTrial || (kwargs?.training && this.trainable);
    const usesBatch = isTraining || this.moving === null;
    if (!usesBatch && kwargs?.training === undefined && this.trainable) {
      this.askForMode();
    }
    const checked = checkInputs(this, inputs, {
      mask: usesBatch ? kwargs?.mask : null,
      batchWeights: usesBatch ? kwargs?.batchWeights : null,
      virtualBatchSize: usesBatch ? this.options.virtualBatchSize : null,
      synchronized: usesBatch && this.options.synchronized,
      isApplied: this.isApplied,
    });
    return tf.tidy(() => {
      this.invokeCallHook(inputs, kwargs);
      return usesBatch
        ? this.normalizeByBatch(checked, isTrial, isTraining)
        : this.normalizeByMoving(checked);
    });
  }

  /** Warns, once, where gradients are recorded and nobody says which phase this is. */
  private askForMode(): void {
    if (this.hasAskedForMode || tf.engine().state.gradientDepth === 0) return;
    this.hasAskedForMode = true;
    console.warn(
      `ResBatchNorm '${this.name}': it is called in inference mode while gradients are ` +
        'recorded: it normalizes by its moving statistics, which stay as they are. To train, ' +
        'write model.apply(x, {training: true}) in place of model.predict(x) or apply(x); if ' +
        'inference mode is meant, apply(x, {training: false}).',
    );
  }

  private normalizeByMoving({x, shortcut}: CheckedInputs): tf.Tensor {
    const {gamma, beta} = this.affine();
    const mean = this.moving!.read('moving_mean');
    const variance = this.moving!.read('moving_variance');
    const {axis, epsilon} = this.options;
    const y = batchNormInference(float32(x), gamma, beta, mean, variance, {
      axis,
      epsilon,
      shortcut: shortcut && float32(shortcut),
      activation: this.epilogue.fused,
    });
    return this.epilogue.afterFused(y);
  }

  private normalizeByBatch(
    {x, shortcut, mask, batchWeights}: CheckedInputs,
    isTrial: boolean,
    isTraining: boolean,
  ): tf.Tensor {
    const {options, moving} = this;
    const {gamma, beta} = this.affine();
    adviseWasmTraining(this.name, x);
    const weighted =
      x.size > 0
        ? withMomentWeights(float32(x), mask, batchWeights)
        : {x: float32(x), momentWeights: null};
    const result = normalizeBatch(weighted.x, gamma, beta, {
      axis: options.axis,
      epsilon: options.epsilon,
      virtualBatchSize: options.virtualBatchSize,
      adjustment: options.adjustment,
      momentWeights: weighted.momentWeights,
      renorm: options.renorm
        ? {
            mean: moving!.read('renorm_mean'),
            stddev: moving!.read('renorm_stddev'),
            clipping: options.renormClipping,
          }
        : null,
      // A trial, as inference, is of one replica alone.
      synchronization: isTraining && !isTrial ? this.synchronization() : null,
      shortcut: shortcut && float32(shortcut),
      epilogue: this.epilogue,
    });
    const {mean, variance, count} = result;
    if (moving !== null && count !== 0) {
      const followed = options.unbiasedMovingVariance
        ? unbiased(variance, count)
        : variance;
      this.tellListeners(x, result, followed, isTrial);
      if (isTrial) return result.y;
      this.lastCount = typeof count === 'number' ? count : null;
      this.updateMovingStatistics(mean, followed);
    }
    return result.y;
  }

  /** The replicas to normalize together with; null where there are no others. */
  private synchronization(): Synchronization | null {
    const group = this.options.synchronized ? replicaGroup() : null;
    return group !== null && group.size > 1 ? {group, layer: this.name} : null;
  }

  private affine(): Record<'gamma' | 'beta', tf.Tensor1D | null> {
    return {
      gamma: (this.gamma?.read() ?? null) as tf.Tensor1D | null,
      beta: (this.beta?.read() ?? null) as tf.Tensor1D | null,
    };
  }

  private updateMovingStatistics(mean: tf.Tensor1D, variance: tf.Tensor1D): void {
    ++this.madeCount;
    emitUpdateOp({
      layerName: this.name,
      inputs: {mean, variance},
      run: inputs => {
        this.moving!.update(inputs);
        ++this.runCount;
      },
    });
  }

  private tellListeners(
    x: tf.Tensor,
    result: VariantResult,
    followedVariance: tf.Tensor1D,
    isTrial: boolean,
  ): void {
    if (this[STATISTICS_LISTENERS].size === 0) return;
    // A trial is no training, which is what the others wait for.
    const listeners = [...this[STATISTICS_LISTENERS]].filter(
      listener => listener.isTrial === isTrial,
    );
    if (listeners.length === 0) return;
    const {mean, count, virtualMeans} = result;
    const batch = {
      mean,
      variance: wholeVariance(result),
      count: virtualMeans === undefined ? count : x.size / mean.size,
      followedVariance,
    };
    for (const listener of listeners) listener.take(batch);
  }

  override getConfig(): tf.serialization.ConfigDict {
    return {
      ...super.getConfig(),
      ...savedOptions(this.name, this.options),
      ...this.objects.getConfig(),
    };
  }
}

/** Whether there is nothing more to say of it. */
let isWasmTrainingSettled = false;

/** Says, once, where a network of images is trained on wasm that tfjs alone can't train there. */
function adviseWasmTraining(layer: string, x: tf.Tensor): void {
  if (isWasmTrainingSettled || x.rank < 4 || tf.getBackend() !== 'wasm') return;
  if (tf.engine().state.gradientDepth === 0) return;
  isWasmTrainingSettled = true;
  if (tf.getKernel('Conv2DBackpropFilter', 'wasm') !== undefined) return;
  console.warn(
    `ResBatchNorm '${layer}': the wasm backend of TensorFlow.js can't train convolutions, as it ` +
      "lacks Conv2DBackpropFilter and others: import '@resbatchnorm/wasm-training', which " +
      'registers them.',
  );
}

function float32(x: tf.Tensor): tf.Tensor {
  return x.dtype === 'float32' ? x : tf.cast(x, 'float32');
}

/** Makes a {@link ResBatchNorm}, as the functions of `tf.layers` do. */
export function resBatchNorm(args?: ResBatchNormArgs): ResBatchNorm {
  return new ResBatchNorm(args);
}

tf.serialization.registerClass(ResBatchNorm);
