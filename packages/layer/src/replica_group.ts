/**
 * The replicas of a data-parallel training: processes that each train the same model on a part
 * of every batch. @resbatchnorm/distributed connects them and puts them here, where the layers
 * that are `synchronized` find them; this package knows no more of them than this.
 */

/** The replicas that this process is one of. */
export interface ReplicaGroup {
  /** How many there are. */
  readonly size: number;
  /** Which of them this is, from 0. */
  readonly rank: number;
  /**
   * This replica's share of the examples of the training step, n/N: by it its gradients count.
   * 0 where it has no examples and takes part only so that the others need not wait.
   */
  readonly share: number;
  /**
   * Every replica's values, in the order of their ranks. All of them make the same calls in the
   * same order, each with as many values; each waits for all others.
   *
   * @param name What it is for, the same on every replica; messages name it.
   * @throws Error if the others make another call or none.
   */
  gather(name: string, values: Float64Array): Float64Array[];
}

const GROUP = Symbol.for('@resbatchnorm/layer/replica_group');

// Other copies of this module have it, too.
const shared = globalThis as {[GROUP]?: ReplicaGroup | null};

/** Null where this process trains alone. */
export function replicaGroup(): ReplicaGroup | null {
  return shared[GROUP] ?? null;
}

export function setReplicaGroup(group: ReplicaGroup | null): void {
  shared[GROUP] = group;
}
