/**
 * A model as what it computes: ops between edges, each op the use of a layer. A model is read
 * into this form, the ops are rewritten, and a new model is built from it.
 */
import * as tfl from '@tensorflow/tfjs-layers';

import type {Layer} from '../batch_norms.js';
type Model = tfl.LayersModel;

/** Stands for a tensor, and is told from others by identity. */
export interface Edge {
  readonly shape: tfl.Shape;
}

export interface Op {
  /** Null for the identity. */
  layer: Layer | null;
  inputs: readonly Edge[];
  outputs: readonly Edge[];
}

interface Input {
  edge: Edge;
  name: string;
  dtype: tfl.SymbolicTensor['dtype'];
}

export interface Graph {
  name: string;
  /** A sequential model is a chain of layers, and stays one. */
  isSequential: boolean;
  /** Whether the first layer of a sequential model is an input layer. */
  hasInputLayer: boolean;
  inputs: readonly Input[];
  /** In an order in which they can be computed. */
  ops: readonly Op[];
  outputs: readonly Edge[];
}

const isInputLayer = (layer: Layer) => layer.getClassName() === 'InputLayer';

export function readGraph(model: Model): Graph {
  const inputs = model.inputs.map(tensor => ({
    edge: tensor,
    name: tensor.sourceLayer.name,
    dtype: tensor.dtype,
  }));
  const isSequential = model instanceof tfl.Sequential;
  const ops = isSequential ? chainOf(model) : opsOf(model);
  return {
    name: model.name,
    isSequential,
    hasInputLayer: isSequential && isInputLayer(model.layers[0]),
    inputs,
    ops,
    outputs: model.outputs,
  };
}

/** By the layers, as a model that comes first in a sequential one has no node there. */
function chainOf({layers, inputs}: Model): Op[] {
  let [edge] = inputs;
  return layers
    .filter(layer => !isInputLayer(layer))
    .map((layer, i) => {
      const output =
        i === 0 && layer instanceof tfl.LayersModel
          ? layer.outputs[0]
          : layer.inboundNodes.find(({inputTensors}) => inputTensors[0] === edge)!
              .outputTensors[0];
      const op = {layer, inputs: [edge], outputs: [output]};
      edge = output;
      return op;
    });
}

function opsOf({outputs}: Model): Op[] {
  const ops = new Map<object, Op>();
  const visit = ({sourceLayer: layer, nodeIndex}: tfl.SymbolicTensor) => {
    const node = layer.inboundNodes[nodeIndex];
    if (isInputLayer(layer) || ops.has(node)) return;
    node.inputTensors.forEach(visit);
    ops.set(node, {layer, inputs: node.inputTensors, outputs: node.outputTensors});
  };
  outputs.forEach(visit);
  return Array.from(ops.values());
}

/** Builds a model from a graph whose layers are in no model yet. */
export function buildModel(graph: Graph): Model {
  return graph.isSequential ? buildSequential(graph) : buildFunctional(graph);
}

function buildSequential({name, hasInputLayer, inputs, ops}: Graph): Model {
  const model = tfl.sequential({name});
  const [input] = inputs;
  const layers = ops.flatMap(({layer}) => layer ?? []);
  const [first] = layers;
  if (hasInputLayer) {
    const {shape} = input.edge;
    model.add(
      tfl.layers.inputLayer({
        batchInputShape: shape,
        dtype: input.dtype,
        name: input.name,
      }),
    );
  } else if (!('layers' in first) && first.batchInputShape == null) {
    first.batchInputShape = input.edge.shape;
    first.dtype = input.dtype;
  }
  for (const layer of layers) model.add(layer);
  return model;
}

function buildFunctional({name, inputs, ops, outputs}: Graph): Model {
  const tensors = new Map<Edge, tfl.SymbolicTensor>();
  for (const {edge, name, dtype} of inputs) {
    tensors.set(edge, tfl.input({batchShape: edge.shape, dtype, name}));
  }
  const tensorOf = (edge: Edge) => tensors.get(edge)!;
  for (const op of ops) {
    const args = op.inputs.map(tensorOf);
    const results =
      op.layer === null ? args : op.layer.apply(args.length === 1 ? args[0] : args);
    [results].flat().forEach((result, i) => {
      tensors.set(op.outputs[i], result as tfl.SymbolicTensor);
    });
  }
  return tfl.model({
    name,
    inputs: inputs.map(({edge}) => tensorOf(edge)),
    outputs: outputs.map(tensorOf),
  });
}
