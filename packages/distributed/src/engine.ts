/** What joins replicas: one small interface, for MPI and for TensorFlow's collective ops. */
import type {Tensor} from '@tensorflow/tfjs-core';

/** A collective call: what the replicas have to agree on before any of them moves a value. */
export interface Call {
  /** What it is for, in words that mean the same on every replica: `moments of bn_1`. */
  name: string;
  /** The training step that it belongs to, from 1; 0 outside of one. */
  step: number;
}

/**
 * Every replica makes the same calls, in the same order. A call blocks until all have made it.
 *
 * @throws DistributedError from every call, on all replicas that live, if one of them makes
 *     another call (another name or step, or another number of values), is gone, or does not make
 *     the call in time. The message names the rank, the step and the call. Nothing can be called
 *     after that.
 */
export interface Engine {
  /** For people: `OpenMPI 5.0.11`. */
  readonly name: string;
  readonly rank: number;
  readonly size: number;

  /** Every replica's values, in the order of their ranks; each gives as many. */
  gather(call: Call, values: Float64Array): Float64Array[];

  /**
   * Σ weight·tensor over the replicas, for each float32 tensor, on the device of the tensors. A
   * weight of 0 stands for tensors of zeros, whatever is in them. The caller disposes of the
   * results.
   */
  weightedSums(call: Call, tensors: Tensor[], weight: number): Tensor[];

  /** Replaces the bytes by those of rank 0; each replica gives as many. */
  broadcast(call: Call, bytes: Uint8Array): void;

  /**
   * The end, on every replica.
   *
   * @param failed Whether this replica ends by an error: the others are ended with it. Otherwise
   *     this waits until all others are here, or throws as a call does.
   */
  close(failed: boolean): void;
}
