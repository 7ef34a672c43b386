import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {ArgumentObjects} from './argument_objects.js';
import {batchNormInference} from './norm/batch_norm.js';
import {checkCall, type CallOptions} from './norm/check_call.js';
import {epilogueOf, type Epilogue} from './norm/epilogue.js';
import {normalizeBatch} from './norm/variants.js';
import {withMomentWeights} from './norm/weighted_moments.js';
import {channelAxis} from './kernels/channel_view.js';
import {checkArgs} from './check_args.js';
import {checkInputShapes, checkInputType} from './call.js';
import {hookModels} from './model_hooks.js';
import {MovingStatistics, type BatchStatistics} from './moving_statistics.js';
import {ruleOf} from './moving/rules.js';
import {unbiased} from './moving/unbiased.js';
import {statisticWeights} from './moving/weights.js';
import {optionsOf, type LayerOptions, type ResBatchNormArgs} from './arguments.js';
import {savedOptions} from './saved_options.js';
import {emitUpdateOp} from './update_ops.js';

type Tensors = tf.Tensor | tf.Tensor[];
type SymbolicTensors = tfl.SymbolicTensor | tfl.SymbolicTensor[];
type Kwargs = Parameters<tfl.layers.Layer['call']>[1];

/** See {@link ResBatchNorm.observeNextUpdate}. */
export type UpdateObserver = (batch: BatchStatistics) => void;

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
 * say so: `layer.apply(x, {training: true})`. With `trainable = false`, on the layer or on any
 * model around it, the mode is inference and the statistics do not move.
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
export class ResBatchNorm extends tfl.layers.Layer {
  static readonly className = 'ResBatchNorm';

  private readonly options: LayerOptions;
  private readonly objects: ArgumentObjects;
  private readonly epilogue: Epilogue;

  private gamma: tfl.LayerVariable | null = null;
  private beta: tfl.LayerVariable | null = null;
  /** Null before the layer is built, and where it has none. */
  private moving: MovingStatistics | null = null;

  private readonly frozenBy = new Set<tfl.LayersModel>();
  private isApplied = false;
  private madeCount = 0;
  private runCount = 0;
  private readonly updateObservers = new Set<UpdateObserver>();

  /** @throws ValueError if an argument is unknown or has a value that it can't have. */
  constructor(args?: ResBatchNormArgs) {
    const checked = checkArgs(args);
    super(checked);
    this.options = optionsOf(checked);
    this.objects = new ArgumentObjects(checked);
    this.epilogue = epilogueOf(this.options.activation);
    this.supportsMasking = true;
  }

  /**
   * Whether the layer trains: false if it was set so here, or on a model around it. Then the
   * layer is in inference mode whatever the call says.
   */
  override get trainable(): boolean {
    return super.trainable && this.frozenBy.size === 0;
  }

  override set trainable(trainable: boolean) {
    super.trainable = trainable;
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

  /** What is added to the variance under the root. */
  get epsilon(): number {
    return this.options.epsilon;
  }

  /**
   * Calls `observer` once: when the next update op runs, with what the moving statistics
   * follow in it, the mean and the variance of its batch, [channels] each. Its tensors are not
   * to be disposed of, and live no longer than the call.
   *
   * @returns a function that takes the observer back.
   */
  observeNextUpdate(observer: UpdateObserver): () => void {
    this.updateObservers.add(observer);
    return () => void this.updateObservers.delete(observer);
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
    this.built = true;
  }

  private addMovingStatistics(channels: number): MovingStatistics {
    const {momentum, renormMomentum, epsilon, nonFiniteUpdates} = this.options;
    const rule = ruleOf(this.options);
    const variables: Record<string, tfl.LayerVariable> = {};
    for (const weight of statisticWeights(rule, this.objects.parsed)) {
      const {name, perChannel, dtype, initializer} = weight;
      const shape = perChannel ? [channels] : [];
      variables[name] = this.addWeight(name, shape, dtype, initializer, undefined, false);
    }
    return new MovingStatistics(variables, {
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
   * @param kwargs `training`, and for training mode `mask` ([batch, …] of the rank of x less
   *     1; 0 leaves a position out of the moments), `batchWeights` ([batch], the weights of
   *     the examples in the moments) and `probe`, a function that is called with the batch's
   *     statistics in place of an update op, so that the call changes nothing; what it is
   *     given lives no longer than its call.
   * @throws ValueError if an input, the mask or the weights can't be used.
   */
  override apply(
    inputs: Tensors | SymbolicTensors,
    kwargs?: Kwargs,
  ): Tensors | SymbolicTensors {
    checkInputType(this.name, inputs);
    this.isApplied = true;
    try {
      return super.apply(inputs, kwargs);
    } finally {
      this.isApplied = false;
    }
  }

  override call(inputs: Tensors, kwargs: Kwargs): tf.Tensor {
    const usesBatch = (kwargs?.training && this.trainable) || this.moving === null;
    const call = checkCall(this, inputs, {
      ...(usesBatch && kwargs),
      virtualBatchSize: usesBatch ? this.options.virtualBatchSize : null,
      isApplied: this.isApplied,
    });
    return tf.tidy(() => {
      this.invokeCallHook(inputs, kwargs);
      return usesBatch
        ? this.normalizeByBatch(call, kwargs?.probe as UpdateObserver | undefined)
        : this.normalizeByMoving(call);
    });
  }

  private normalizeByMoving({x, shortcut}: CallOptions): tf.Tensor {
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
    {x, shortcut, mask, batchWeights}: CallOptions,
    takeStatistics: UpdateObserver = batch => this.updateMovingStatistics(batch),
  ): tf.Tensor {
    const {options, moving} = this;
    const {gamma, beta} = this.affine();
    const weighted =
      x.size > 0
        ? withMomentWeights(float32(x), mask, batchWeights)
        : {x: float32(x), momentWeights: null};
    const {y, mean, variance, count} = normalizeBatch(weighted.x, gamma, beta, {
      ...options,
      momentWeights: weighted.momentWeights,
      renorm: options.renorm
        ? {
            mean: moving!.read('renorm_mean'),
            stddev: moving!.read('renorm_stddev'),
            clipping: options.renormClipping,
          }
        : null,
      shortcut: shortcut && float32(shortcut),
      epilogue: this.epilogue,
    });
    if (moving !== null && x.size > 0) {
      takeStatistics({
        mean,
        variance: options.unbiasedMovingVariance ? unbiased(variance, count) : variance,
      });
    }
    return y;
  }

  private affine(): Record<'gamma' | 'beta', tf.Tensor1D | null> {
    return {
      gamma: (this.gamma?.read() ?? null) as tf.Tensor1D | null,
      beta: (this.beta?.read() ?? null) as tf.Tensor1D | null,
    };
  }

  private updateMovingStatistics(batch: BatchStatistics): void {
    ++this.madeCount;
    emitUpdateOp({
      layerName: this.name,
      inputs: {...batch},
      run: inputs => {
        this.moving!.update(inputs);
        ++this.runCount;
        this.tellObservers(inputs);
      },
    });
  }

  private tellObservers(batch: BatchStatistics): void {
    const observers = [...this.updateObservers];
    this.updateObservers.clear();
    for (const observe of observers) observe(batch);
  }

  override getConfig(): tf.serialization.ConfigDict {
    return {
      ...super.getConfig(),
      // What was set on the layer itself. That a model was frozen is not saved by tfjs-layers.
      trainable: super.trainable,
      ...savedOptions(this.name, this.options),
      ...this.objects.getConfig(),
    };
  }

  /** @internal Called when a model around the layer is frozen or thawed. */
  setFrozenBy(model: tfl.LayersModel, frozen: boolean): void {
    if (frozen) {
      this.frozenBy.add(model);
      return;
    }
    // A Sequential makes a model of this name for itself at every build, frozen as it is.
    for (const other of this.frozenBy) {
      if (other === model || other.name === `${model.name}_model`) {
        this.frozenBy.delete(other);
      }
    }
  }

  protected override disposeWeights(): number {
    this.moving?.dispose();
    return super.disposeWeights();
  }
}

function float32(x: tf.Tensor): tf.Tensor {
  return x.dtype === 'float32' ? x : tf.cast(x, 'float32');
}

/** Makes a {@link ResBatchNorm}, as the functions of `tf.layers` do. */
export function resBatchNorm(args?: ResBatchNormArgs): ResBatchNorm {
  return new ResBatchNorm(args);
}

tf.serialization.registerClass(ResBatchNorm);
hookModels();
