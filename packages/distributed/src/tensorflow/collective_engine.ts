/** The engine over TensorFlow's collective ops. */
import {loadTensorFlow} from '@resbatchnorm/native';
import {
  concat,
  mul,
  reshape,
  split,
  type Tensor,
  tensor1d,
  tidy,
  zeros,
} from '@tensorflow/tfjs-core';

import {AgreeingEngine} from '../agreeing_engine.js';
import {bytesOf} from '../call_block.js';
import {DistributedError} from '../distributed_error.js';
import type {Engine} from '../engine.js';
import {CollectiveOps} from './collective_ops.js';
import {loadNativeCluster, type NativeCluster} from './native_cluster.js';
import type {Cluster} from './tf_config.js';

export interface ConnectTensorFlowOptions {
  /** The processes; TF_CONFIG names them. */
  cluster: Cluster;
  /** How long a replica waits for the others in one call. */
  timeoutSeconds: number;
}

/**
 * Loads TensorFlow as one of the processes of the cluster. They find each other in the first call.
 *
 * Each process listens on the port of its address, on all interfaces of its machine
 * whatever the host is, without password or encryption: TensorFlow knows no other way. Whoever
 * reaches the port can read the model and run ops. So it is for private networks only, or with a
 * firewall that lets in none but the replicas.
 *
 * @throws DistributedError if TensorFlow is loaded already, or if the port is taken.
 * @throws NativeError if the addon of tfjs-node is not the one that this package's version of
 *     `resbatchnorm-native setup` builds.
 */
export async function connectTensorFlow({
  cluster,
  timeoutSeconds,
}: ConnectTensorFlowOptions): Promise<Engine> {
  const native = loadNativeCluster();
  const refusal = native.configure(cluster.addresses.join(), cluster.rank);
  if (refusal) {
    throw new DistributedError(
      `${refusal}: connect() comes before everything that imports tfjs-node.`,
    );
  }
  const {version} = await loadTensorFlow();
  const error = native.error();
  if (error) {
    throw new DistributedError(
      `Rank ${cluster.rank} cannot serve ${cluster.addresses[cluster.rank]}: ${error}`,
    );
  }
  return new CollectiveEngine(`TensorFlow ${version}`, cluster, native, timeoutSeconds);
}

// What is sent of a broadcast at a time.
const CHUNK_BYTES = 2 ** 22;

class CollectiveEngine extends AgreeingEngine {
  readonly #ops = new CollectiveOps(this.size);

  constructor(
    name: string,
    {addresses, rank}: Cluster,
    private readonly native: NativeCluster,
    timeoutSeconds: number,
  ) {
    super(name, rank, addresses.length, timeoutSeconds);
  }

  protected exchange(block: Uint8Array): Uint8Array[] {
    return this.gatherBytes(block);
  }

  /** As float32 values, which nobody computes with: they keep their bits. */
  protected gatherBytes(bytes: Uint8Array): Uint8Array[] {
    const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    const gathered = tidy(() => this.#ops.gather(tensor1d(values)).dataSync<'float32'>());
    return Array.from({length: this.size}, (_, rank) =>
      bytesOf(gathered.subarray(rank * values.length, (rank + 1) * values.length)),
    );
  }

  protected sums(tensors: Tensor[], weight: number): Tensor[] {
    const sizes = tensors.map(({size}) => size);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    if (total === 0) return tensors.map(({shape}) => zeros(shape));
    return tidy(() => {
      const flat =
        weight === 0
          ? zeros([total])
          : mul(concat(tensors.map(tensor => reshape(tensor, [-1]))), weight);
      return split(this.#ops.sum(flat), sizes).map((part, i) =>
        reshape(part, tensors[i].shape),
      );
    });
  }

  protected broadcastBytes(bytes: Uint8Array): void {
    for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
      this.#broadcastChunk(bytes.subarray(start, start + CHUNK_BYTES));
    }
  }

  #broadcastChunk(bytes: Uint8Array): void {
    const values = new Float32Array(Math.ceil(bytes.length / 4));
    if (this.rank === 0) {
      bytesOf(values).set(bytes);
      tidy(() => void this.#ops.send(tensor1d(values)));
    } else {
      const received = tidy(() => this.#ops.receive(values.length).dataSync<'float32'>());
      bytes.set(bytesOf(received).subarray(0, bytes.length));
    }
  }

  protected override inTime<T>(header: string, run: () => T): T {
    this.native.beginCall(header, this.timeoutSeconds);
    try {
      return run();
    } finally {
      this.native.endCall();
    }
  }

  protected override reasonOf(error: Error, here: string): string {
    // Told by the timer of this process, or by a replica that failed before.
    const [, told] = /<<(.*?)>>/s.exec(error.message) ?? [];
    if (told)
      return told.startsWith(here) ? told.slice(here.length) : `ended with ${told}`;
    const silent = this.native.silentRanks();
    return silent ? `no answer from ${silent}` : error.message;
  }

  protected override failed(message: string): void {
    this.native.abortCollectives(message);
  }

  protected abort(): void {
    this.failed(`rank ${this.rank}, ${this.lastCall}: ended by an error`);
    this.#disconnect();
  }

  protected leave(): void {
    // Whoever leaves at once may take its last message with it.
    try {
      this.gatherBytes(new Uint8Array(4));
    } catch {
      // All have agreed, and some are gone.
    }
    this.#disconnect();
  }

  #disconnect(): void {
    this.native.leave();
    this.#ops.dispose();
  }
}
