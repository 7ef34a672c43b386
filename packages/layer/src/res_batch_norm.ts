import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {ArgumentObjects, type Initializer} from './argument_objects.js';
import {batchNormInference} from './batch_norm_inference.js';
import {batchNormTraining} from './batch_norm_training.js';
import {channelsOf, checkInputType} from './check_layer_input.js';
import {hookModels} from './model_hooks.js';
import {MovingStatistics, type BatchStatistics} from './moving_statistics.js';
import {checkArgs, type ResBatchNormArgs} from './res_batch_norm_args.js';
import {emitUpdateOp} from './update_ops.js';

type Tensors = tf.Tensor | tf.Tensor[];
type SymbolicTensors = tfl.SymbolicTensor | tfl.SymbolicTensor[];
type Kwargs = Parameters<tfl.layers.Layer['call']>[1];

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
 * Input: [batch, …] of rank 2 or more. Output: the same shape, float32.
 *
 * Weights: gamma, beta (trainable; left out by `scale: false`, `center: false`), moving_mean,
 * moving_variance (not trainable); [channels] each.
 *
 * The update of the moving statistics is an update op: it runs at once, or is collected by
 * `collectUpdateOps`. An empty batch makes none. A batch with a value a channel has variance
 * 0, so that y = beta. A mask is passed on and not used.
 *
 * Source: Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by
 * Reducing Internal Covariate Shift", 2015.
 */
export class ResBatchNorm extends tfl.layers.Layer {
  static readonly className = 'ResBatchNorm';

  private readonly axis: number;
  private readonly momentum: number;
  private readonly epsilon: number;
  private readonly center: boolean;
  private readonly scale: boolean;
  private readonly nonFiniteUpdates: 'skip' | 'propagate';
  private readonly objects: ArgumentObjects;

  private gamma: tfl.LayerVariable | null = null;
  private beta: tfl.LayerVariable | null = null;
  private moving: MovingStatistics | null = null;

  private frozenByModel = false;
  private madeCount = 0;
  private runCount = 0;

  /** @throws ValueError if an argument is unknown or has a value that it can't have. */
  constructor(args?: ResBatchNormArgs) {
    const checked = checkArgs(args);
    super(checked);
    this.axis = checked.axis ?? -1;
    this.momentum = checked.momentum ?? 0.9;
    this.epsilon = checked.epsilon ?? 1e-3;
    this.center = checked.center ?? true;
    this.scale = checked.scale ?? true;
    this.nonFiniteUpdates = checked.nonFiniteUpdates ?? 'skip';
    this.objects = new ArgumentObjects(checked);
    this.supportsMasking = true;
  }

  /**
   * Whether the layer trains: false if it was set so here, or on a model around it. Then the
   * layer is in inference mode whatever the call says.
   */
  override get trainable(): boolean {
    return super.trainable && !this.frozenByModel;
  }

  override set trainable(trainable: boolean) {
    super.trainable = trainable;
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
   * How many of the update ops that ran left the statistics as they were, because the batch's
   * were not finite (`nonFiniteUpdates: 'skip'`). Reads one number back from the device.
   */
  async readSkippedUpdateCount(): Promise<number> {
    return this.moving === null ? 0 : this.moving.readSkippedCount();
  }

  override build(inputShape: tfl.Shape | tfl.Shape[]): void {
    const channels = channelsOf(this.name, inputShape, this.axis);
    const ndim = inputShape.length;
    const channelAxis = this.axis < 0 ? this.axis + ndim : this.axis;
    this.inputSpec = [new tfl.InputSpec({ndim, axes: {[channelAxis]: channels}})];
    const {parsed} = this.objects;
    if (this.scale) {
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
    if (this.center) {
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
    const addStatistic = (name: string, initializer: Initializer) =>
      this.addWeight(name, [channels], 'float32', initializer, undefined, false);
    this.moving = new MovingStatistics(
      addStatistic('moving_mean', parsed.movingMeanInitializer),
      addStatistic('moving_variance', parsed.movingVarianceInitializer),
      {momentum: this.momentum, skipNonFinite: this.nonFiniteUpdates === 'skip'},
    );
    this.built = true;
  }

  override apply(
    inputs: Tensors | SymbolicTensors,
    kwargs?: Kwargs,
  ): Tensors | SymbolicTensors {
    checkInputType(this.name, inputs);
    return super.apply(inputs, kwargs);
  }

  override call(inputs: Tensors, kwargs: Kwargs): tf.Tensor {
    return tf.tidy(() => {
      this.invokeCallHook(inputs, kwargs);
      const input = Array.isArray(inputs) ? inputs[0] : inputs;
      const x = input.dtype === 'float32' ? input : tf.cast(input, 'float32');
      const gamma = (this.gamma?.read() ?? null) as tf.Tensor1D | null;
      const beta = (this.beta?.read() ?? null) as tf.Tensor1D | null;
      const options = {axis: this.axis, epsilon: this.epsilon};
      if (!(kwargs?.training && this.trainable)) {
        const {mean, variance} = this.moving!.read();
        return batchNormInference(x, gamma, beta, mean, variance, options);
      }
      const {y, mean, variance} = batchNormTraining(x, gamma, beta, options);
      if (x.size > 0) this.updateMovingStatistics({mean, variance});
      return y;
    });
  }

  private updateMovingStatistics(batch: BatchStatistics): void {
    ++this.madeCount;
    emitUpdateOp({
      layerName: this.name,
      inputs: {...batch},
      run: inputs => {
        this.moving!.update(inputs);
        ++this.runCount;
      },
    });
  }

  override getConfig(): tf.serialization.ConfigDict {
    return {
      ...super.getConfig(),
      // What was set on the layer itself; a model says for itself whether it is frozen.
      trainable: super.trainable,
      axis: this.axis,
      momentum: this.momentum,
      epsilon: this.epsilon,
      center: this.center,
      scale: this.scale,
      nonFiniteUpdates: this.nonFiniteUpdates,
      ...this.objects.getConfig(),
    };
  }

  /** @internal Called when a model around the layer is frozen or thawed. */
  setFrozenByModel(frozen: boolean): void {
    this.frozenByModel = frozen;
  }

  protected override disposeWeights(): number {
    this.moving?.dispose();
    return super.disposeWeights();
  }
}

/** Makes a {@link ResBatchNorm}, as the functions of `tf.layers` do. */
export function resBatchNorm(args?: ResBatchNormArgs): ResBatchNorm {
  return new ResBatchNorm(args);
}

tf.serialization.registerClass(ResBatchNorm);
hookModels();
