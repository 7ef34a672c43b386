/** What a program that trains data-parallel works with. */
import type {ReplicaGroup} from '@resbatchnorm/layer/introspection';
import {
  dispose,
  Optimizer,
  scalar,
  type Scalar,
  type Tensor,
  type TensorContainer,
} from '@tensorflow/tfjs-core';
import type {History, LayersModel, ModelFitDatasetArgs} from '@tensorflow/tfjs-layers';

import {checksum} from './agreement.js';
import {DistributedError} from './distributed_error.js';
import type {Engine} from './engine.js';
import {type BatchDataset, fitOnReplicas} from './fit_dataset.js';
import {joinGradients, type NamedGradient} from './joined_optimizer.js';
import {countExamples, partOf, takePart} from './shard.js';

/**
 * The replicas of a training: processes that each hold the same model and train it on a part of
 * every batch. Their gradients are joined, weighted by the number of examples, so that all take
 * the step that one process would take on the whole batch, and stay equal. `connect` makes it.
 */
export class Replicas implements ReplicaGroup {
  /** This replica's number, from 0. */
  readonly rank: number;
  /** How many there are. */
  readonly size: number;

  private shareNow: number | null = null;
  private stepCount = 0;

  /**
   * @internal
   * @param weights How large the replicas' parts of a batch are, in relation to each other.
   */
  constructor(
    private readonly engine: Engine,
    private readonly weights: readonly number[],
  ) {
    this.rank = engine.rank;
    this.size = engine.size;
  }

  /** Whether this is the replica that writes and prints: rank 0. */
  get isChief(): boolean {
    return this.rank === 0;
  }

  /** What joins them, for people: `OpenMPI 5.0.11`. */
  get engineName(): string {
    return this.engine.name;
  }

  /** @internal This replica's share of the examples of the step; outside of one, an equal one. */
  get share(): number {
    return this.shareNow ?? 1 / this.size;
  }

  /**
   * Makes an optimizer join the gradients of all replicas before each of its steps: their mean,
   * weighted by the number of examples. Neither the loss nor the learning rate is changed.
   *
   * @returns The same optimizer.
   */
  optimizer<T extends Optimizer>(optimizer: T): T {
    if (!(optimizer instanceof Optimizer)) {
      throw new TypeError(
        `replicas.optimizer: it must be an optimizer, as of tf.train. Received: ${String(optimizer)}`,
      );
    }
    if (this.size > 1) {
      joinGradients(optimizer, gradients => this.join(optimizer, gradients));
    }
    return optimizer;
  }

  private join(optimizer: Optimizer, gradients: NamedGradient[]): Tensor[] {
    if (this.shareNow === null) {
      throw new DistributedError(
        'Gradients of several replicas are joined in a step, in which each knows how many ' +
          'examples the others have: replicas.step(examples, () => optimizer.minimize(…)), or ' +
          'replicas.fitDataset(…). Received: gradients outside of a step',
      );
    }
    // All in the name, on which the replicas have to agree: what differs would part them for good.
    const {learningRate, ...others} = optimizer.getConfig();
    const variables = gradients.map(({name, tensor: {shape}}) => [baseOf(name), shape]);
    const settings = [optimizer.getClassName(), others, variables];
    const hash = checksum([JSON.stringify(settings)]).toString(36);
    const name = `gradients (learning rate ${String(learningRate)}, variables and optimizer ${hash})`;
    return this.engine.weightedSums(
      this.call(name),
      gradients.map(({tensor}) => tensor),
      this.shareNow,
    );
  }

  /**
   * One training step: all replicas make it together.
   *
   * ```ts
   * replicas.step(xs.shape[0], () => optimizer.minimize(() => loss(xs, ys)));
   * ```
   *
   * @param examples How many examples this replica has in the step, by which its gradients
   *     count. 0 if it has none: it then makes the step on any examples, which count for nothing.
   * @param fn Forward, backward and the update, with a loss that is a mean over the examples. It
   *     may be asynchronous, as `() => model.trainOnBatch(xs, ys)`.
   * @returns What fn returns.
   * @throws DistributedError if another replica makes another call, or none in time.
   */
  step<T>(examples: number, fn: () => T): T {
    if (!Number.isInteger(examples) || examples < 0) {
      throw new RangeError(
        `replicas.step: examples must be an integer from 0. Received: ${examples}`,
      );
    }
    this.beginStep();
    const counts = this.gather('number of examples', Float64Array.of(examples));
    const total = counts.reduce((sum, [count]) => sum + count, 0);
    if (total === 0) {
      throw new RangeError(
        'replicas.step: no replica has an example. Received: 0 examples',
      );
    }
    return this.withShare(examples / total, fn);
  }

  /**
   * This replica's part of a batch that all replicas have as a whole, for a loop of your own:
   *
   * ```ts
   * const {part, examples} = replicas.shard({xs, ys});
   * replicas.step(examples, () => optimizer.minimize(() => loss(part.xs, part.ys)));
   * ```
   *
   * @param batch A tensor, or tensors in arrays and objects, with the examples along the first axis.
   * @returns New tensors, and how many examples they have. If that is 0, as of a batch that has
   *     fewer examples than there are replicas, the tensors are the whole batch, as few ops take
   *     empty ones: they count for nothing then.
   * @throws RangeError if the tensors differ in their number of examples, or have none.
   */
  shard<T extends TensorContainer>(batch: T): {part: T; examples: number} {
    const own = partOf(countExamples(batch), this.weights, this.rank);
    return {part: takePart(batch, own), examples: own.count};
  }

  /**
   * @internal A step on this replica's part of a batch that all have as a whole.
   * @param train Gives means over the examples, such as the loss.
   * @returns The means over the whole batch, the same on every replica.
   */
  stepOf(batch: Tensor[], train: (part: Tensor[]) => Scalar[]): Scalar[] {
    this.beginStep();
    const total = countExamples(batch);
    const {part, examples} = this.shard(batch);
    const share = examples / total;
    let means: Scalar[];
    try {
      means = this.withShare(share, () => train(part));
    } finally {
      dispose(part);
    }
    const own = means.map(mean => (share > 0 ? share * mean.dataSync()[0] : 0));
    dispose(means);
    const rows = this.gather(
      `loss and metrics of ${total} examples`,
      Float64Array.from(own),
    );
    return own.map((_, i) => scalar(rows.reduce((sum, row) => sum + row[i], 0)));
  }

  private beginStep(): void {
    if (this.shareNow !== null) {
      throw new DistributedError(
        'replicas.step: a step must end before the next: await its promise. Received: a step in a step',
      );
    }
    ++this.stepCount;
  }

  private withShare<T>(share: number, fn: () => T): T {
    this.shareNow = share;
    const end = () => (this.shareNow = null);
    let result: T;
    try {
      result = fn();
    } catch (error) {
      end();
      throw error;
    }
    if (result instanceof Promise) return result.finally(end) as T;
    end();
    return result;
  }

  /**
   * As `model.fitDataset(dataset, args)`, with every batch divided among the replicas: a step is
   * the one that a single process would make. The batches of the dataset are those of all
   * replicas together, and every replica's program gives the same ones in the same order: what
   * shuffles needs a seed. The part of a replica may be smaller than that of another, or empty.
   *
   * Before the first step all replicas get the model's weights, the optimizer's state and the
   * initial epoch of rank 0: to go on from a checkpoint it is enough that rank 0 does. The logs,
   * and so History, are of all examples, and equal on all replicas; so is the end: a callback
   * that stops the training of one stops it for all. Callbacks that write or print run on rank 0
   * alone, all others on every replica. They say so by `onChiefOnly: true`, as those of
   * @resbatchnorm/callbacks do; for one that does not,
   * `Object.assign(tf.node.tensorBoard(path), {onChiefOnly: true})`. Moving statistics of norms
   * that are not synchronized are averaged over the replicas at the end of each epoch. Validation
   * is of the whole data, by each replica alone.
   *
   * @throws DistributedError if the replicas differ in the model, the data, the learning rate or
   *     in what they do.
   */
  async fitDataset<T>(
    model: LayersModel,
    dataset: BatchDataset<T>,
    args: ModelFitDatasetArgs<T>,
  ): Promise<History> {
    if (this.size === 1) return model.fitDataset(dataset as never, args);
    return fitOnReplicas(this, model, dataset, args);
  }

  /**
   * Every replica's values, in the order of their ranks. All make the same calls in the same
   * order, each with as many values.
   */
  gather(name: string, values: Float64Array): Float64Array[] {
    return this.engine.gather(this.call(name), values);
  }

  /** Replaces the bytes by those of rank 0; every replica gives as many. */
  broadcast(name: string, bytes: Uint8Array): void {
    this.engine.broadcast(this.call(name), bytes);
  }

  private call(name: string) {
    return {name, step: this.stepCount};
  }
}

/** Without the number by which a process tells variables of one name. */
function baseOf(name: string): string {
  return name.replace(/_?\d+$/, '');
}
