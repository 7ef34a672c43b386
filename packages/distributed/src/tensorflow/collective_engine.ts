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

import {DistributedError} from '../distributed_error.js';
import type {Call, Engine} from '../engine.js';
import {bytesOf, headerOf, packBlock, VALUES_IN_BLOCK, valuesOf} from './call_block.js';
import {CollectiveOps} from './collective_ops.js';
import {loadNativeCluster, type NativeCluster} from './native_cluster.js';
import {type Cluster, parseTfConfig} from './tf_config.js';

export interface ConnectTensorFlowOptions {
  /** How long a replica waits for the others in one call. */
  timeoutSeconds: number;
}

/**
 * Loads TensorFlow as one of the processes that the environment variable TF_CONFIG names. They
 * find each other in the first call.
 *
 * Each process listens on the port that TF_CONFIG gives it, on all interfaces of its machine
 * whatever the host is, without password or encryption: TensorFlow knows no other way. Whoever
 * reaches the port can read the model and run ops. So it is for private networks only, or with a
 * firewall that lets in none but the replicas.
 *
 * @throws DistributedError if TF_CONFIG is wrong, if TensorFlow is loaded already, or if the port
 *     is taken.
 * @throws NativeError if the addon of tfjs-node is not the one that this package's version of
 *     `resbatchnorm-native setup` builds.
 */
export async function connectTensorFlow({
  timeoutSeconds,
}: ConnectTensorFlowOptions): Promise<Engine> {
  const cluster = parseTfConfig(process.env.TF_CONFIG ?? '');
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

class CollectiveEngine implements Engine {
  readonly rank: number;
  readonly size: number;
  readonly #ops: CollectiveOps;
  readonly #onExit = (code: number) => this.#exit(code);
  #state: 'open' | 'failed' | 'closed' = 'open';
  /** For the others, if this process ends by an error. */
  #lastCall = 'before its first call';

  constructor(
    readonly name: string,
    {addresses, rank}: Cluster,
    private readonly native: NativeCluster,
    private readonly timeoutSeconds: number,
  ) {
    this.rank = rank;
    this.size = addresses.length;
    this.#ops = new CollectiveOps(this.size);
    process.on('exit', this.#onExit);
  }

  gather(call: Call, values: Float64Array): Float64Array[] {
    return this.#collective(call, `gather of ${values.length} values`, header => {
      const firsts = this.#agree(header, values.subarray(0, VALUES_IN_BLOCK));
      if (values.length <= VALUES_IN_BLOCK) return firsts;
      const rests = this.#gatherBytes(bytesOf(values.subarray(VALUES_IN_BLOCK)));
      return firsts.map((first, rank) => {
        const all = new Float64Array(values.length);
        all.set(first);
        bytesOf(all).set(rests[rank], first.byteLength);
        return all;
      });
    });
  }

  weightedSums(call: Call, tensors: Tensor[], weight: number): Tensor[] {
    const sizes = tensors.map(({size}) => size);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const what = `sum of ${total} values in ${tensors.length} tensors`;
    return this.#collective(call, what, header => {
      this.#agree(header);
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
    });
  }

  broadcast(call: Call, bytes: Uint8Array): void {
    this.#collective(call, `broadcast of ${bytes.length} bytes`, header => {
      this.#agree(header);
      for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
        this.#broadcastChunk(bytes.subarray(start, start + CHUNK_BYTES));
      }
    });
  }

  close(failed: boolean): void {
    if (this.#state === 'closed') return;
    if (this.#state === 'open' && failed) {
      this.native.abortCollectives(
        `rank ${this.rank}, ${this.#lastCall}: ended by an error`,
      );
    } else if (this.#state === 'open') {
      this.#collective({name: 'end of the training', step: 0}, '', header => {
        this.#agree(header);
        // Whoever leaves at once may take its last message with it.
        try {
          this.#gatherBytes(new Uint8Array(4));
        } catch {
          // All have agreed, and some are gone.
        }
      });
    }
    this.#state = 'closed';
    process.off('exit', this.#onExit);
    this.native.leave();
    this.#ops.dispose();
  }

  /** A program that ends without `close`: by an error, too early, or as all others do. */
  #exit(code: number): void {
    try {
      if (this.#state === 'open') this.close(code !== 0);
    } catch (error) {
      console.error(error);
    }
    if (this.#state === 'closed') return;
    process.exitCode = code || 1;
    this.close(true);
  }

  /** Makes a call within the time; if it fails, the others are ended, too. */
  #collective<T>({name, step}: Call, what: string, run: (header: string) => T): T {
    const header = [step && `step ${step}`, name, what].filter(Boolean).join(', ');
    if (this.#state !== 'open') {
      throw new DistributedError(
        `Rank ${this.rank}, ${header}: the replicas are no longer connected.`,
      );
    }
    this.native.beginCall(header, this.timeoutSeconds);
    try {
      return run(header);
    } catch (error) {
      this.#state = 'failed';
      const failure = this.#describe(header, error as Error);
      this.native.abortCollectives(failure);
      throw new DistributedError(`R${failure.slice(1)}.`, {cause: error});
    } finally {
      this.native.endCall();
      this.#lastCall = `after ${header}`;
    }
  }

  #describe(header: string, error: Error): string {
    const here = `rank ${this.rank}, ${header}: `;
    if (error instanceof Disagreement) return here + error.message;
    // Told by the timer of this process, or by a replica that failed before.
    const [, told] = /<<(.*?)>>/s.exec(error.message) ?? [];
    if (told) return told.startsWith(here) ? told : `${here}ended with ${told}`;
    const silent = this.native.silentRanks();
    return here + (silent ? `no answer from ${silent}` : error.message);
  }

  /**
   * Gathers a block of every replica, and gives the values that are in it.
   *
   * @throws Disagreement unless all make the same call.
   */
  #agree(header: string, values: Float64Array = new Float64Array()): Float64Array[] {
    const blocks = this.#gatherBytes(packBlock(header, values));
    const headers = blocks.map(headerOf);
    const other = headers.find(text => text !== headers[this.rank]);
    if (other !== undefined) {
      const ranks = [...headers.keys()].filter(rank => headers[rank] === other);
      throw new Disagreement(`rank ${ranks.join(', ')} makes another call: ${other}`);
    }
    return blocks.map(block => valuesOf(block, values.length));
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

  /** As float32 values, which nobody computes with: they keep their bits. */
  #gatherBytes(bytes: Uint8Array): Uint8Array[] {
    const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    const gathered = tidy(() => this.#ops.gather(tensor1d(values)).dataSync<'float32'>());
    return Array.from({length: this.size}, (_, rank) =>
      bytesOf(gathered.subarray(rank * values.length, (rank + 1) * values.length)),
    );
  }
}

/** The replicas do not make the same call. */
class Disagreement extends Error {}
