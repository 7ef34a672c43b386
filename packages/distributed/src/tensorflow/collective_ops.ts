/** TensorFlow's collective ops, between all processes of the cluster. */
import {
  backend as currentBackend,
  keep,
  scalar,
  type Tensor,
  tensor1d,
  type TensorInfo,
  tidy,
} from '@tensorflow/tfjs-core';

// The parts of tfjs-node's backend that run an op by its name.
interface TensorFlowBackend {
  binding: Record<'TF_ATTR_STRING' | 'TF_ATTR_TYPE' | 'TF_FLOAT', number>;
  executeMultipleOutputs(
    op: string,
    attrs: OpAttr[],
    inputs: TensorInfo[],
    outputs: number,
  ): Tensor[];
}

interface OpAttr {
  name: string;
  type: number;
  value: string | number;
}

/**
 * All processes make the same calls, with as many values each, and in the same order. Whoever calls
 * disposes of the results. After an error, which is TensorFlow's own, no call is possible any more.
 *
 * TensorFlow keeps a record of every instance key for good, with the shape that goes with it.
 * So the keys are few: one for each op and number of values. With an attribute `timeout_seconds`
 * it would keep each call for that long, 17 kB of it; so the calls have none.
 */
export class CollectiveOps {
  readonly #backend = currentBackend() as unknown as TensorFlowBackend;
  readonly #groupSize: Tensor;
  readonly #groupKey = constant(1);
  readonly #instanceKeys = new Map<string, Tensor>();

  constructor(size: number) {
    this.#groupSize = constant(size);
  }

  /** The values of all, one after the other, in the order of their ranks. */
  gather(values: Tensor): Tensor {
    return this.#run('CollectiveGatherV2', 'gather', values.size, [values]);
  }

  /** The sum of all. */
  sum(values: Tensor): Tensor {
    const type = this.#backend.binding.TF_ATTR_STRING;
    return this.#run('CollectiveReduceV2', 'reduce', values.size, [values], {
      attrs: [
        {name: 'merge_op', type, value: 'Add'},
        {name: 'final_op', type, value: 'Id'},
      ],
    });
  }

  /** Gives them to all others, which call `receive`. */
  send(values: Tensor): Tensor {
    return this.#run('CollectiveBcastSendV2', 'broadcast', values.size, [values]);
  }

  receive(count: number): Tensor {
    return tidy(() =>
      this.#run('CollectiveBcastRecvV2', 'broadcast', count, [], {
        shape: tensor1d([count], 'int32'),
      }),
    );
  }

  #run(
    op: string,
    kind: string,
    count: number,
    inputs: Tensor[],
    {attrs = [], shape}: {attrs?: OpAttr[]; shape?: Tensor} = {},
  ): Tensor {
    const {TF_ATTR_TYPE, TF_FLOAT} = this.#backend.binding;
    const keys = [this.#groupSize, this.#groupKey, this.#instanceKey(kind, count)];
    const [result] = this.#backend.executeMultipleOutputs(
      op,
      [{name: 'T', type: TF_ATTR_TYPE, value: TF_FLOAT}, ...attrs],
      [...inputs, ...keys, ...(shape ? [shape] : [])],
      1,
    );
    return result;
  }

  /** Counted in the order in which they are needed, which is the same on every process. */
  #instanceKey(kind: string, count: number): Tensor {
    const name = `${kind} ${count}`;
    let key = this.#instanceKeys.get(name);
    if (!key) this.#instanceKeys.set(name, (key = constant(this.#instanceKeys.size + 1)));
    return key;
  }

  dispose(): void {
    this.#groupSize.dispose();
    this.#groupKey.dispose();
    for (const key of this.#instanceKeys.values()) key.dispose();
  }
}

function constant(value: number): Tensor {
  return keep(scalar(value, 'int32'));
}
