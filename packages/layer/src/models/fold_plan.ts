/** Which batch norms of a model fold into which layers, and why the others do not. */
import type {serialization} from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {channelAxis} from '../channel_view.js';
import {
  hasMovingStatistics,
  isBatchNorm,
  isCalledOtherwise,
  normFields,
  type Layer,
} from '../batch_norms.js';
import {channelAxisOf, foldableOf, misplacesBias, padsZeros} from './foldable_layers.js';
import type {Edge, Graph, Op} from './graph.js';
import {graphsOf, timeDistributedLayer, unreachable} from './rebuild.js';

export interface Fold {
  norm: Layer;
  /** Where the batch norm stands: after the layer that it is folded into, or before it. */
  side: 'after' | 'before';
}

export interface FoldPlan {
  /** What folds into each layer, in the order in which it must be done. */
  into: Map<Layer, Fold[]>;
  /** The activations that layers take over from what is folded into them. */
  activations: Map<Layer, serialization.ConfigDictValue>;
  /** The layer that each batch norm that is folded goes into. */
  targets: Map<Layer, Layer>;
  kept: Map<Layer, string>;
}

const quote = ({name}: Layer) => `'${name}'`;

/**
 * @param isShifting Whether the shift of a batch norm is other than 0.
 */
export function planFolds(
  model: tfl.LayersModel,
  isShifting: (norm: Layer) => boolean,
): FoldPlan {
  const plan: FoldPlan = {
    into: new Map(),
    activations: new Map(),
    targets: new Map(),
    kept: new Map(),
  };
  const graphs = Array.from(graphsOf(model).values());
  const uses = countUses(graphs);
  for (const graph of graphs) {
    new GraphPlanner(graph, plan, uses, isShifting).run();
    for (const {layer} of graph.ops) {
      const inner = timeDistributedLayer(layer!);
      if (inner !== null && isBatchNorm(inner)) {
        plan.kept.set(inner, `it is in the layer ${quote(layer!)}`);
      }
    }
  }
  for (const [norm, holder] of unreachable(model, isBatchNorm)) {
    plan.kept.set(norm, `it is in the layer ${quote(holder)}`);
  }
  return plan;
}

/** How often each layer is used, in all the models together. */
function countUses(graphs: Graph[]): Map<Layer, number> {
  const uses = new Map<Layer, number>();
  for (const {layer} of graphs.flatMap(({ops}) => ops)) {
    const inner = timeDistributedLayer(layer!);
    for (const used of inner === null ? [layer!] : [layer!, inner]) {
      uses.set(used, (uses.get(used) ?? 0) + 1);
    }
  }
  return uses;
}

class GraphPlanner {
  private readonly producers = new Map<Edge, Op>();
  private readonly consumers = new Map<Edge, Op[]>();

  constructor(
    private readonly graph: Graph,
    private readonly plan: FoldPlan,
    private readonly uses: Map<Layer, number>,
    private readonly isShifting: (norm: Layer) => boolean,
  ) {
    for (const op of graph.ops) {
      for (const edge of op.outputs) this.producers.set(edge, op);
      for (const edge of new Set(op.inputs)) {
        this.consumers.set(edge, [...(this.consumers.get(edge) ?? []), op]);
      }
    }
  }

  run(): void {
    const {kept} = this.plan;
    const norms = this.graph.ops.filter(({layer}) => isBatchNorm(layer!));
    const possible = norms.filter(op => this.passes(op, this.whyNever(op)));
    const open = possible.filter(op => !this.passes(op, this.foldBack(op)));
    // From the end, so that of two in a row the later one is out of the way of the earlier.
    for (const op of open.reverse()) {
      const whyNotBack = kept.get(op.layer!)!;
      const whyNot = this.foldForward(op);
      if (whyNot === null) kept.delete(op.layer!);
      else if (whyNot !== whyNotBack) kept.set(op.layer!, `${whyNotBack}; ${whyNot}`);
    }
  }

  /** Whether nothing speaks against it; what does is noted. */
  private passes({layer}: Op, why: string | null): boolean {
    if (why !== null) this.plan.kept.set(layer!, why);
    return why === null;
  }

  private whyNever({layer}: Op): string | null {
    if (!hasMovingStatistics(layer!)) {
      return 'it has no moving statistics';
    }
    if (isCalledOtherwise(layer!)) {
      return `its class, ${layer!.getClassName()}, computes something of its own`;
    }
    return this.whyShared(layer!);
  }

  /** Folds a batch norm into the layer before it; if that can't be, says why. */
  private foldBack({layer, inputs}: Op): string | null {
    const norm = layer!;
    const [x] = inputs;
    const source = this.source(x);
    if (source === null) return 'nothing in its model comes before it';
    const target = source.layer!;
    const why =
      this.whyNotInto(target, 'before', norm, x) ??
      this.whyUsedElsewhere(target, x) ??
      this.whyActivated(target);
    if (why !== null) return why;
    this.fold(norm, target, 'after');
    // With a shortcut, the activation comes after the addition.
    const {activation} = norm.getConfig();
    if (inputs.length === 1 && activation != null) {
      this.plan.activations.set(target, activation);
    }
    return null;
  }

  /** Folds a batch norm into the layer after it; if that can't be, says why. */
  private foldForward({layer, inputs, outputs}: Op): string | null {
    const norm = layer!;
    const [y] = outputs;
    const next = this.next(y);
    if (next === null) {
      return this.graph.outputs.includes(y)
        ? 'its output is one of its model'
        : 'its output is used by several layers';
    }
    const target = next.layer!;
    const why = this.whyNotInto(target, 'after', norm, y);
    if (why !== null) return why;
    if (inputs.length > 1) return `a shortcut is added before ${quote(target)}`;
    const {activation = 'linear'} = norm.getConfig();
    if (activation !== 'linear') {
      return `its activation, ${String(activation)}, comes before ${quote(target)}`;
    }
    if (padsZeros(target) && this.isShifting(norm)) {
      return `${quote(target)} adds up zeros at the borders, which it would not shift`;
    }
    this.fold(norm, target, 'before');
    return null;
  }

  /** Why nothing is folded into a layer that stands before or after a batch norm, or null. */
  private whyNotInto(
    target: Layer,
    side: 'before' | 'after',
    norm: Layer,
    edge: Edge,
  ): string | null {
    const foldable = foldableOf(target);
    const rank = edge.shape.length;
    if (foldable === null) {
      return (
        `the layer ${side} it, ${quote(target)} of class ${target.getClassName()}, is neither ` +
        'a convolution nor a dense layer'
      );
    }
    const why = this.whyShared(target);
    if (why !== null) return why;
    if (misplacesBias(target)) {
      return (
        `${quote(target)} has its channels first, and to a ${target.getClassName()} of that ` +
        'kind tfjs-layers adds a bias along the wrong axis'
      );
    }
    const axis = channelAxis(rank, normFields(norm).axis);
    const expected = channelAxisOf(target, rank);
    return axis === expected
      ? null
      : `its axis is ${axis}, and that of the channels of ${quote(target)} is ${expected}`;
  }

  private whyShared(layer: Layer): string | null {
    const count = this.uses.get(layer)!;
    return count > 1 ? `${quote(layer)} is shared: it is used ${count} times` : null;
  }

  private whyUsedElsewhere(target: Layer, edge: Edge): string | null {
    return this.isUsedOnce(edge)
      ? null
      : `the output of ${quote(target)} is used elsewhere, too`;
  }

  private whyActivated(target: Layer): string | null {
    const activation =
      this.plan.activations.get(target) ?? target.getConfig().activation ?? 'linear';
    return activation === 'linear'
      ? null
      : `the activation of ${quote(target)}, ${String(activation)}, comes before it`;
  }

  private isUsedOnce(edge: Edge): boolean {
    const consumers = this.consumers.get(edge) ?? [];
    return (
      consumers.length === 1 &&
      consumers[0].inputs.filter(input => input === edge).length === 1 &&
      !this.graph.outputs.includes(edge)
    );
  }

  /** The op that an edge comes from, past batch norms that are folded away; null for an input. */
  private source(edge: Edge): Op | null {
    const op = this.producers.get(edge);
    if (op === undefined) return null;
    return this.isGone(op) ? this.source(op.inputs[0]) : op;
  }

  /** The one op that an edge goes to, past batch norms that are folded away. */
  private next(edge: Edge): Op | null {
    if (!this.isUsedOnce(edge)) return null;
    const [op] = this.consumers.get(edge)!;
    return this.isGone(op) ? this.next(op.outputs[0]) : op;
  }

  /** Whether an op is folded away, with nothing of it left. */
  private isGone({layer, inputs}: Op): boolean {
    return this.plan.targets.has(layer!) && inputs.length === 1;
  }

  private fold(norm: Layer, target: Layer, side: Fold['side']): void {
    const folds = this.plan.into.get(target) ?? [];
    this.plan.into.set(target, [...folds, {norm, side}]);
    this.plan.targets.set(norm, target);
  }
}
