/** Batch norms of one kind in the place of those of the other. */
import * as tfl from '@tensorflow/tfjs-layers';

import {
  isBuiltInBatchNorm,
  isCalledOtherwise,
  isResBatchNorm,
  setWeightsByName,
  weightsByName,
  type Layer,
} from '../batch_norms.js';
import {isMaskedInGraph} from '../call.js';
import {describe, ValueError} from '../errors.js';
import {resBatchNorm} from '../res_batch_norm.js';
import {
  builtInEquivalent,
  whyNoEquivalent,
  type Equivalent,
  type Part,
} from './built_in_equivalent.js';
import {checkModel} from './check_model.js';
import type {Edge, Op} from './graph.js';
import {graphsOf, Rebuild, timeDistributedLayer, unreachable} from './rebuild.js';

type Model = tfl.LayersModel;

const kinds = ['ResBatchNorm', 'BatchNormalization'] as const;

export interface ReplaceBatchNormOptions {
  /** The class that the batch norms are to be of: this package's, or the built-in one. */
  to: (typeof kinds)[number];
}

/**
 * Makes a new model, with all batch norms of the other class replaced, nested and
 * time-distributed ones included. It predicts the same, from weights of its own that start out
 * the same and have the same names, so the weights of each model load into the other. The
 * model given stays as it is. The new one is not compiled.
 *
 * `to: 'BatchNormalization'` makes a model for where this package is not. What the built-in
 * layer does not have is expressed by other layers around it: an activation and a shortcut by
 * Activation and Add, an axis that is not the last by Permute, a rank over 4 by Reshape. They
 * are named after the batch norm, as 'bn_activation'. The new model is for inference: what
 * ResBatchNorm does in training only (renorm, virtualBatchSize, synchronized, …) is
 * dropped with its weights, and the built-in can't train without scale and center.
 *
 * `to: 'ResBatchNorm'` keeps all arguments. With an axis that is not the last, the built-in
 * computes wrong predictions on the cpu and wasm backends; the new model computes the right
 * ones.
 *
 * @throws ValueError if an argument is wrong, or if some layers can't be replaced or copied.
 *     The message lists all that can't be replaced, and why: a ResBatchNorm without moving
 *     statistics, one of rank over 4 whose input has more than one unknown size, one that
 *     needs Permute or Reshape and is given a mask, which these would drop, a batch norm
 *     in a layer other than a model or TimeDistributed, one of a subclass with a call of its
 *     own, and a built-in with an argument that ResBatchNorm refuses.
 */
export function replaceBatchNorm(model: Model, options: ReplaceBatchNormOptions): Model {
  checkModel('replaceBatchNorm', model);
  const to = options?.to;
  if (!kinds.includes(to)) {
    throw new ValueError(
      `replaceBatchNorm: to must be 'ResBatchNorm' or 'BatchNormalization'. ` +
        `Received: ${describe(to)}`,
    );
  }
  const isReplaced = to === 'ResBatchNorm' ? isBuiltInBatchNorm : isResBatchNorm;
  const faults = faultsOf(model, isReplaced, to);
  if (faults.length > 0) {
    throw new ValueError(
      `replaceBatchNorm: ${faults.length === 1 ? 'a layer' : `${faults.length} layers`} ` +
        `of model '${model.name}' can't be replaced by ${to}:\n  ${faults.join('\n  ')}`,
    );
  }
  const rewrite = (op: Op, rebuild: Rebuild) => {
    const norm = normOf(op);
    if (!isReplaced(norm)) return null;
    return to === 'ResBatchNorm' ? toRes(op, rebuild) : toBuiltIn(op, rebuild);
  };
  return new Rebuild('replaceBatchNorm', model, rewrite).run();
}

/** The layer of an op, or the one that it distributes over time. */
function normOf({layer}: Op): Layer {
  return timeDistributedLayer(layer!) ?? layer!;
}

/** The shape of what the layer itself is given, which is less by the time axis in the latter case. */
function inputShape({layer, inputs}: Op): tfl.Shape {
  const [{shape}] = inputs;
  return timeDistributedLayer(layer!) === null ? shape : [shape[0], ...shape.slice(2)];
}

function faultsOf(
  model: Model,
  isReplaced: (layer: Layer) => boolean,
  to: ReplaceBatchNormOptions['to'],
): string[] {
  const faults = new Map<Layer, string>();
  for (const [layer, holder] of unreachable(model, isReplaced)) {
    faults.set(
      layer,
      `it is in layer '${holder.name}' of class ${holder.getClassName()}, and only models ` +
        'and TimeDistributed can be made anew around it',
    );
  }
  for (const {ops} of graphsOf(model).values()) {
    for (const op of ops) {
      const norm = normOf(op);
      if (!isReplaced(norm)) continue;
      const why = isCalledOtherwise(norm)
        ? `its class, ${norm.getClassName()}, computes something of its own`
        : to === 'ResBatchNorm'
          ? whyRefused(norm)
          : whyNoEquivalent(norm.getConfig(), inputShape(op), isMaskedInGraph(op.layer!));
      if (why !== null) faults.set(norm, why);
    }
  }
  return Array.from(faults, ([{name}, why]) => `'${name}': ${why}`);
}

/** Why ResBatchNorm does not take the arguments of a built-in one, or null. */
function whyRefused(layer: Layer): string | null {
  try {
    resBatchNorm(layer.getConfig());
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

function toRes(op: Op, rebuild: Rebuild): Op[] {
  const norm = normOf(op);
  const layer = rebuild.once(op.layer!, () =>
    replacement(op.layer!, norm, () => resBatchNorm(norm.getConfig()), rebuild),
  );
  return [{...op, layer}];
}

function toBuiltIn(op: Op, rebuild: Rebuild): Op[] {
  const norm = normOf(op);
  const equivalent = builtInEquivalent(norm.getConfig(), inputShape(op));
  const layer = rebuild.once(op.layer!, () =>
    replacement(op.layer!, norm, equivalent.norm, rebuild),
  );
  const wrap =
    timeDistributedLayer(op.layer!) === null ? (l: Layer) => l : timeDistribute;
  const part = ({suffix, make}: Part): Layer => {
    const name = rebuild.newName(`${op.layer!.name}_${suffix}`);
    return rebuild.add(wrap(make(name), name));
  };
  return expand(op, layer, equivalent, part, name =>
    rebuild.add(tfl.layers.add({name: rebuild.newName(name)})),
  );
}

/** The layer that takes a batch norm's place; it is distributed over time if that one is. */
function replacement(
  layer: Layer,
  norm: Layer,
  make: () => Layer,
  rebuild: Rebuild,
): Layer {
  const made = make();
  const replaced = layer === norm ? made : timeDistribute(made, layer.name);
  replaced.setFastWeightInitDuringBuild(true);
  return rebuild.add(replaced, () => setWeightsByName(made, weightsByName(norm)));
}

function timeDistribute(layer: Layer, name: string): Layer {
  return tfl.layers.timeDistributed({layer, name});
}

/** The ops of an equivalent, in their order: … norm … + shortcut, activation. */
function expand(
  {layer: original, inputs: [x, shortcut], outputs}: Op,
  norm: Layer,
  {before, after, activation}: Equivalent,
  part: (part: Part) => Layer,
  add: (name: string) => Layer,
): Op[] {
  const steps: {layer: Layer; and?: Edge}[] = [
    ...before.map(step => ({layer: part(step)})),
    {layer: norm},
    ...after.map(step => ({layer: part(step)})),
    ...(shortcut === undefined
      ? []
      : [{layer: add(`${original!.name}_add`), and: shortcut}]),
    ...(activation === null ? [] : [{layer: part(activation)}]),
  ];
  let edge = x;
  return steps.map(({layer, and}, i) => {
    const inputs = and === undefined ? [edge] : [edge, and];
    edge = i === steps.length - 1 ? outputs[0] : {shape: []};
    return {layer, inputs, outputs: [edge]};
  });
}
