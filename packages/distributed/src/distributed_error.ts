/** What ends a training on several replicas: a replica is gone, or does something else. */
export class DistributedError extends Error {
  override readonly name = 'DistributedError';
}
