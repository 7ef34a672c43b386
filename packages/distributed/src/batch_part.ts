/** Which examples of a batch are whose. */
import {slice, type Tensor} from '@tensorflow/tfjs-core';

export interface BatchPart {
  start: number;
  count: number;
}

/** Adjacent parts, in the order of the ranks; where they can't be even, the first have one more. */
export function batchPart(examples: number, rank: number, size: number): BatchPart {
  const least = Math.floor(examples / size);
  const larger = examples % size;
  return {
    start: rank * least + Math.min(rank, larger),
    count: least + (rank < larger ? 1 : 0),
  };
}

/** All of them where the part is empty, as few ops take tensors of no examples. */
export function takePart(tensors: Tensor[], {start, count}: BatchPart): Tensor[] {
  return tensors.map(tensor =>
    count === 0 ? slice(tensor, 0) : slice(tensor, start, count),
  );
}
