/** Makes a new model in which some layers of a model are replaced. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {ValueError} from '../errors.js';
import {batchNorms, isResBatchNorm, type Layer} from '../batch_norms.js';
import {copyLayer, copyWeights} from './copy_layer.js';
import {buildModel, readGraph, type Graph, type Op} from './graph.js';

type Model = tfl.LayersModel;

/** The layer of a time-distributed one; null if it is none, and holds what can't be replaced. */
export function timeDistributedLayer(layer: Layer): Layer | null {
  if (layer.getClassName() !== 'TimeDistributed') return null;
  return (layer as Layer & {layer: Layer}).layer;
}

/** The graphs of a model and of all models in it, each once, the outermost first. */
export function graphsOf(model: Model): Map<Model, Graph> {
  const graphs = new Map<Model, Graph>();
  const visit = (layer: Layer) => {
    const inner = timeDistributedLayer(layer) ?? layer;
    if (!(inner instanceof tfl.LayersModel) || graphs.has(inner)) return;
    const graph = readGraph(inner);
    graphs.set(inner, graph);
    for (const op of graph.ops) visit(op.layer!);
  };
  visit(model);
  return graphs;
}

export class Rebuild {
  private readonly graphs: Map<Model, Graph>;
  private readonly copies = new Map<Layer, Layer>();
  private readonly made: Layer[] = [];
  private readonly weightSetters: (() => void)[] = [];
  private readonly names: Set<string>;

  /**
   * @param caller The function that the user called, for messages.
   * @param rewrite The new ops in the place of an op, or null to copy its layer.
   */
  constructor(
    private readonly caller: string,
    private readonly model: Model,
    private readonly rewrite: (op: Op, rebuild: Rebuild) => Op[] | null,
  ) {
    this.graphs = graphsOf(model);
    this.names = new Set(
      Array.from(this.graphs.keys(), ({layers}) => layers)
        .flat()
        .map(({name}) => name),
    );
  }

  /** The new model, with its weights. If it can't be made, nothing is left behind. */
  run(): Model {
    try {
      const model = this.copyOf(this.model) as Model;
      tf.tidy(() => {
        for (const setWeights of this.weightSetters) setWeights();
      });
      // Freezing the copies of models froze those of norms, of which some were thawed again.
      for (const [layer, copy] of this.copies) {
        if (isResBatchNorm(layer) && isResBatchNorm(copy)) {
          copy.trainable = layer.trainable;
        }
      }
      return model;
    } catch (error) {
      for (const layer of this.made) {
        (layer as unknown as {disposeWeights(): number}).disposeWeights();
      }
      throw error instanceof ValueError
        ? new ValueError(`${this.caller}: ${error.message}`)
        : error;
    }
  }

  /** A layer's counterpart in the new model; a shared layer has one. */
  copyOf(layer: Layer): Layer {
    return this.once(layer, () => this.newCopyOf(layer));
  }

  /** As `copyOf`, with another way to make the counterpart. */
  once(layer: Layer, make: () => Layer): Layer {
    const copy = this.copies.get(layer) ?? make();
    this.copies.set(layer, copy);
    return copy;
  }

  /** Takes charge of a new layer; its weights are set once the model is built. */
  add<T extends Layer>(layer: T, setWeights: (layer: T) => void = () => {}): T {
    this.made.push(layer);
    this.weightSetters.push(() => setWeights(layer));
    return layer;
  }

  /** A name that no layer has yet. */
  newName(wanted: string): string {
    let name = wanted;
    for (let i = 1; this.names.has(name); ++i) name = `${wanted}_${i}`;
    this.names.add(name);
    return name;
  }

  private newCopyOf(layer: Layer): Layer {
    if (layer instanceof tfl.LayersModel) return this.newModel(layer);
    const wrapped = timeDistributedLayer(layer);
    if (wrapped instanceof tfl.LayersModel) {
      const {name, batchInputShape, dtype} = layer;
      return tfl.layers.timeDistributed({
        layer: this.copyOf(wrapped),
        name,
        ...(batchInputShape == null ? {} : {batchInputShape, dtype}),
      });
    }
    return this.add(this.copied(layer), copy => copyWeights(layer, copy));
  }

  private copied(layer: Layer): Layer {
    try {
      return copyLayer(layer);
    } catch (error) {
      throw new ValueError(
        `layer '${layer.name}' of class ${layer.getClassName()} can't be copied: its ` +
          `config does not make a layer: ${(error as Error).message}`,
        {cause: error},
      );
    }
  }

  private newModel(model: Model): Model {
    const graph = this.graphs.get(model)!;
    const ops = graph.ops.flatMap(
      op => this.rewrite(op, this) ?? [{...op, layer: this.copyOf(op.layer!)}],
    );
    const copy = buildModel({...graph, ops});
    if (!model.trainable) copy.trainable = false;
    return copy;
  }
}

/**
 * The batch norms around which no new layer can be made, as they stand neither in a model nor
 * time-distributed in one, with what holds them.
 */
export function unreachable(
  model: Model,
  isSought: (layer: Layer) => boolean,
): Map<Layer, Layer> {
  const found = new Map<Layer, Layer>();
  for (const {layer, holders} of batchNorms(model)) {
    if (!isSought(layer)) continue;
    for (const around of holders) {
      const holder = around.find((outer, i) => {
        if (outer instanceof tfl.LayersModel) return false;
        const inner = around[i + 1] ?? layer;
        const isModelOrNorm = inner === layer || inner instanceof tfl.LayersModel;
        return timeDistributedLayer(outer) === null || !isModelOrNorm;
      });
      if (holder !== undefined) found.set(layer, holder);
    }
  }
  return found;
}
