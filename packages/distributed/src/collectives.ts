/** What the parts of a training ask of the replicas. */
export interface Collectives {
  readonly rank: number;
  /** Whether this is rank 0. */
  readonly isChief: boolean;
  /** Every replica's values, in the order of their ranks. */
  gather(name: string, values: Float64Array): Float64Array[];
  /** Replaces the bytes by those of rank 0. */
  broadcast(name: string, bytes: Uint8Array): void;
}
