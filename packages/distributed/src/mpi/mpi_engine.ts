/** The engine over MPI. */
import {type Tensor, tensor} from '@tensorflow/tfjs-core';

import {AgreeingEngine} from '../agreeing_engine.js';
import {BLOCK_BYTES} from '../call_block.js';
import {DistributedError} from '../distributed_error.js';
import type {Engine} from '../engine.js';
import {mpiBuffer, MpiLibrary, type MpiBuffer, type MpiRequests} from './mpi_library.js';

export interface ConnectMpiOptions {
  /** How long a replica waits for the others in one call. */
  timeoutSeconds: number;
}

/**
 * Joins the processes that mpirun started this one with.
 *
 * @throws DistributedError if the MPI library is not found or does not work.
 */
export function connectMpi({timeoutSeconds}: ConnectMpiOptions): Engine {
  return new MpiEngine(new MpiLibrary(timeoutSeconds), timeoutSeconds);
}

/** How many bytes are broadcast at a time; MPI counts in 32 bits. */
const CHUNK_BYTES = 2 ** 28;

class MpiEngine extends AgreeingEngine {
  /** What the replicas send each other first in every call, by rank. */
  private readonly blocks: MpiBuffer<Uint8Array>[];
  private readonly exchanges: MpiRequests;
  private bucket = mpiBuffer(new Float32Array(1024));
  private readonly onError = (error: unknown) => this.report(error);

  constructor(
    private readonly mpi: MpiLibrary,
    timeoutSeconds: number,
  ) {
    super(mpi.name, mpi.rank, mpi.size, timeoutSeconds);
    this.blocks = Array.from({length: this.size}, () =>
      mpiBuffer(new Uint8Array(BLOCK_BYTES)),
    );
    const others = new Map(
      [...this.blocks.entries()].filter(([rank]) => rank !== this.rank),
    );
    this.exchanges = mpi.exchange(this.blocks[this.rank], others);
    process.on('uncaughtExceptionMonitor', this.onError);
  }

  protected exchange(block: Uint8Array): Uint8Array[] {
    this.blocks[this.rank].view.set(block);
    if (this.size > 1) {
      this.exchanges.start();
      this.complete(this.exchanges);
    }
    return this.blocks.map(({view}) => view);
  }

  protected gatherBytes(bytes: Uint8Array): Uint8Array[] {
    const all = mpiBuffer(new Uint8Array(this.size * bytes.length));
    this.complete(this.mpi.gather(mpiBuffer(bytes), all));
    return this.blocks.map((_, rank) =>
      all.view.subarray(rank * bytes.length, (rank + 1) * bytes.length),
    );
  }

  protected sums(tensors: Tensor[], weight: number): Tensor[] {
    const total = tensors.reduce((sum, {size}) => sum + size, 0);
    if (this.bucket.view.length < total) this.bucket = mpiBuffer(new Float32Array(total));
    const {view, address} = this.bucket;
    let start = 0;
    for (const one of tensors) {
      if (weight === 0) view.fill(0, start, start + one.size);
      else putScaled(view, start, one.dataSync<'float32'>(), weight);
      start += one.size;
    }
    const whole = {view: view.subarray(0, total), address};
    if (total > 0) this.complete(this.mpi.sumInPlace(whole));
    start = 0;
    return tensors.map(({shape, size}) =>
      tensor(view.slice(start, (start += size)), shape, 'float32'),
    );
  }

  protected broadcastBytes(bytes: Uint8Array): void {
    for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
      const chunk = bytes.subarray(start, start + CHUNK_BYTES);
      this.complete(this.mpi.broadcast(mpiBuffer(chunk)));
    }
  }

  protected abort(): void {
    process.off('uncaughtExceptionMonitor', this.onError);
    // Until mpirun has read what this process has said last.
    sleep(100);
    this.mpi.abort();
  }

  protected leave(): void {
    process.off('uncaughtExceptionMonitor', this.onError);
    this.exchanges.free();
    this.mpi.finalize();
  }

  /**
   * Says why all end. Node itself would say it after 'exit', when nobody lives any more. What
   * every replica finds out, the first of them says.
   */
  protected override report(error: unknown): void {
    if (error instanceof DistributedError) {
      sleep(500 * this.rank);
      super.report(error);
    } else {
      console.error(`Rank ${this.rank} ended by an error:`, error);
    }
  }

  /** Waits for what has been started; MPI moves it on while it is asked. */
  private complete(requests: MpiRequests): void {
    let deadline = Infinity;
    for (let spins = 0; !requests.isDone(); ++spins) {
      if (spins < SPINS) continue;
      if (spins === SPINS) deadline = performance.now() + 1000 * this.timeoutSeconds;
      if (performance.now() > deadline) {
        const missing = requests.missing().join(', ');
        throw new Error(
          `${missing ? `no answer from rank ${missing}` : 'no end'} in ${this.timeoutSeconds} s`,
        );
      }
      sleep(0.05);
    }
  }
}

/** In one loop: `set` and a multiplication would go over the values twice. */
function putScaled(
  target: Float32Array,
  start: number,
  values: Float32Array,
  weight: number,
): void {
  for (let i = 0; i < values.length; ++i) target[start + i] = weight * values[i];
}

/** Some milliseconds, within which the others mostly come; then the core is left to others. */
const SPINS = 2000;

const sleeper = new Int32Array(new SharedArrayBuffer(4));

function sleep(milliseconds: number): void {
  Atomics.wait(sleeper, 0, 0, milliseconds);
}
