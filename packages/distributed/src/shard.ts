/** Which examples of a batch are whose. */
import {slice, Tensor, type TensorContainer} from '@tensorflow/tfjs-core';

export interface Part {
  start: number;
  count: number;
}

/**
 * Adjacent parts of a batch, in the order of the ranks, as large as their weights are, to the
 * next example.
 */
export function partOf(examples: number, weights: readonly number[], rank: number): Part {
  const sum = (ranks: number) =>
    weights.slice(0, ranks).reduce((total, weight) => total + weight, 0);
  const total = sum(weights.length);
  // An end that is an integer must not become the next one by rounding.
  const end = (ranks: number) =>
    Math.max(0, Math.ceil((examples * sum(ranks)) / total - 1e-6));
  const start = end(rank);
  return {start, count: end(rank + 1) - start};
}

/** How many examples there are along the first axis of each tensor. */
export function countExamples(batch: TensorContainer): number {
  const counts = new Set<number>();
  mapTensors(batch, tensor => {
    counts.add(tensor.shape[0] ?? 0);
    return tensor;
  });
  const [count = 0] = counts;
  if (counts.size !== 1 || count === 0) {
    throw new RangeError(
      'A batch must have one or more examples, and as many in each of its tensors. Received: ' +
        `tensors of ${[...counts].join(' and ') || 'no'} examples`,
    );
  }
  return count;
}

/** All examples where the part is empty, as few ops take tensors of none. */
export function takePart<T extends TensorContainer>(batch: T, {start, count}: Part): T {
  return mapTensors(batch, tensor =>
    count === 0 ? slice(tensor, 0) : slice(tensor, start, count),
  ) as T;
}

function mapTensors(
  batch: TensorContainer,
  map: (tensor: Tensor) => Tensor,
): TensorContainer {
  if (batch instanceof Tensor) return map(batch);
  if (Array.isArray(batch)) return batch.map(part => mapTensors(part, map));
  if (typeof batch !== 'object' || batch === null) return batch;
  const entries = Object.entries(batch as Record<string, TensorContainer>);
  return Object.fromEntries(entries.map(([name, part]) => [name, mapTensors(part, map)]));
}
