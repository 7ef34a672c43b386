/** A model for inference, without the batch norms that other layers can do the work of. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {
  normFields,
  batchNorms,
  setWeightsByName,
  weightsByName,
  type Layer,
} from '../batch_norms.js';
import {checkModel} from './check_model.js';
import {copyLayer} from './copy_layer.js';
import {planFolds, type Fold, type FoldPlan} from './fold_plan.js';
import {foldableOf, type ScaleAndShift, type Weights} from './foldable_layers.js';
import type {Op} from './graph.js';
import {Rebuild} from './rebuild.js';

type Activation = Parameters<typeof tfl.layers.activation>[0]['activation'];

export interface FoldedModel {
  model: tfl.LayersModel;
  /** The batch norms that are gone, and the layers that do their work. */
  folded: {layer: string; into: string}[];
  /** The batch norms that are still there, and why. */
  kept: {layer: string; reason: string}[];
}

/**
 * Makes a new model for inference, in which as many batch norms as possible are folded into the
 * layers next to them. It predicts the same, up to rounding, with less to compute. The model
 * given stays as it is.
 *
 * A batch norm in inference mode is scale·x + shift per channel, with
 * scale = gamma/√(moving_variance + epsilon) and shift = beta − moving_mean·scale. After a
 * layer Wx + b it becomes part of that:
 *
 *     W' = W·scale, per output channel        b' = b·scale + shift
 *
 * and before it likewise, if no zeros are padded in between or the shift is 0:
 *
 *     W' = W·scale, per input channel         b' = b + W·shift
 *
 * The layers are dense, convolutions (1d, 2d, 3d), and transposed, depthwise and separable
 * ones; those without a bias get one. The activation of a ResBatchNorm moves to the layer that
 * it is folded into; a shortcut stays, as an Add layer. A batch norm stays if its neighbours
 * are no such layers, have an activation in between, are shared, have another channel axis, or
 * if what is between is used elsewhere, too; and if it is shared itself or in a TimeDistributed
 * layer. In models within the model, each is folded by itself.
 *
 * The new layers have no constraints on what has changed. Training the new model is possible
 * but is not training with batch normalization.
 *
 * Source: what torch's `fuse_conv_bn_eval` and TensorFlow's graph transforms compute.
 *
 * @throws ValueError if it is not a model, or if a layer can't be copied.
 */
export async function foldBatchNorm(model: tfl.LayersModel): Promise<FoldedModel> {
  checkModel('foldBatchNorm', model);
  const plan = await planFor(model);
  const rebuild = new Rebuild('foldBatchNorm', model, (op, rebuild) =>
    rewrite(op, plan, rebuild),
  );
  const norms = batchNorms(model).map(({layer}) => layer);
  return {
    model: rebuild.run(),
    folded: norms
      .filter(norm => plan.targets.has(norm))
      .map(norm => ({layer: norm.name, into: plan.targets.get(norm)!.name})),
    kept: norms
      .filter(norm => plan.kept.has(norm))
      .map(norm => ({layer: norm.name, reason: plan.kept.get(norm)!})),
  };
}

/** Shifts are read back from the device only where the plan depends on them. */
async function planFor(model: tfl.LayersModel): Promise<FoldPlan> {
  const known = new Map<Layer, boolean>();
  for (;;) {
    const asked: Layer[] = [];
    const plan = planFolds(model, norm => {
      if (!known.has(norm)) asked.push(norm);
      return known.get(norm) ?? true;
    });
    if (asked.length === 0) return plan;
    for (const norm of asked) known.set(norm, await isShifting(norm));
  }
}

async function isShifting(norm: Layer): Promise<boolean> {
  const isOther = tf.tidy(() => tf.any(tf.notEqual(scaleAndShift(norm).shift, 0)));
  const [value] = await isOther.data();
  isOther.dispose();
  return value !== 0;
}

/** What a batch norm does in inference mode. */
function scaleAndShift(norm: Layer): ScaleAndShift {
  const {gamma, beta, moving_mean, moving_variance} = weightsByName(norm);
  const {epsilon} = normFields(norm);
  const r = tf.rsqrt(tf.add(moving_variance, epsilon as number));
  const scale = gamma === undefined ? r : tf.mul(r, gamma);
  const meanShift = tf.neg(tf.mul(moving_mean, scale));
  const shift = beta === undefined ? meanShift : tf.add(meanShift, beta);
  return {scale: scale as tf.Tensor1D, shift: shift as tf.Tensor1D};
}

function rewrite(op: Op, plan: FoldPlan, rebuild: Rebuild): Op[] | null {
  const layer = op.layer!;
  if (plan.targets.has(layer)) return remainder(op, rebuild);
  const folds = plan.into.get(layer);
  if (folds === undefined) return null;
  const activation = plan.activations.get(layer);
  const copy = () =>
    rebuild.add(foldingCopy(layer, activation === undefined ? {} : {activation}), made =>
      setFoldedWeights(layer, folds, made),
    );
  return [{...op, layer: rebuild.once(layer, copy)}];
}

/** A layer with a bias, and without the constraints that the weights once satisfied. */
function foldingCopy(layer: Layer, changes: tf.serialization.ConfigDict): Layer {
  const constraints = Object.keys(layer.getConfig())
    .filter(key => key.endsWith('Constraint'))
    .map(key => [key, null]);
  return copyLayer(layer, {
    ...Object.fromEntries(constraints),
    useBias: true,
    ...changes,
  });
}

function setFoldedWeights(layer: Layer, folds: readonly Fold[], folded: Layer): void {
  tf.tidy(() => {
    const {bias} = weightsByName(folded);
    let weights: Weights = {bias: tf.zerosLike(bias), ...weightsByName(layer)};
    for (const {norm, side} of folds) {
      weights = foldableOf(layer)![side](weights, scaleAndShift(norm));
    }
    setWeightsByName(folded, weights);
  });
}

/** What is left of a batch norm that is folded: the shortcut, and what comes after that. */
function remainder({layer, inputs, outputs}: Op, rebuild: Rebuild): Op[] {
  const norm = layer!;
  if (inputs.length === 1) return [{layer: null, inputs, outputs}];
  const {activation} = norm.getConfig();
  if (activation === 'linear') {
    return [{layer: rebuild.add(tfl.layers.add({name: norm.name})), inputs, outputs}];
  }
  const sum = {shape: outputs[0].shape};
  const name = rebuild.newName(`${norm.name}_add`);
  return [
    {layer: rebuild.add(tfl.layers.add({name})), inputs, outputs: [sum]},
    {
      layer: rebuild.add(
        tfl.layers.activation({activation: activation as Activation, name: norm.name}),
      ),
      inputs: [sum],
      outputs,
    },
  ];
}
