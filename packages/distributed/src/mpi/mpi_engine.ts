/** The engine over MPI. */
import {type Tensor, tensor} from '@tensorflow/tfjs-core';

import {DistributedError} from '../distributed_error.js';
import type {Call, Engine} from '../engine.js';
import {
  headerOf,
  packBlock,
  VALUES_IN_BLOCK,
  valuesOf,
} from '../tensorflow/call_block.js';
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

class MpiEngine implements Engine {
  readonly name: string;
  readonly rank: number;
  readonly size: number;

  /** What the replicas send each other first in every call, by rank. */
  private readonly blocks: MpiBuffer<Uint8Array>[];
  private readonly exchange: MpiRequests;
  private bucket = mpiBuffer(new Float32Array(1));
  private state: 'open' | 'failed' | 'closed' = 'open';
  private readonly onExit = (code: number) => this.exit(code);
  private readonly onError = (error: unknown) => this.report(error);

  constructor(
    private readonly mpi: MpiLibrary,
    private readonly timeoutSeconds: number,
  ) {
    this.name = mpi.name;
    this.rank = mpi.rank;
    this.size = mpi.size;
    const length = packBlock('', new Float64Array()).length;
    this.blocks = Array.from({length: this.size}, () =>
      mpiBuffer(new Uint8Array(length)),
    );
    const others = new Map(
      [...this.blocks.entries()].filter(([rank]) => rank !== this.rank),
    );
    this.exchange = mpi.exchange(this.blocks[this.rank], others);
    process.on('exit', this.onExit);
    process.on('uncaughtExceptionMonitor', this.onError);
  }

  gather(call: Call, values: Float64Array): Float64Array[] {
    return this.collective(call, `gather of ${values.length} values`, header => {
      const first = values.subarray(0, VALUES_IN_BLOCK);
      this.agree(header, first);
      const firsts = this.blocks.map(({view}) => valuesOf(view, first.length));
      if (values.length <= VALUES_IN_BLOCK) return firsts;
      const rest = values.slice(VALUES_IN_BLOCK);
      const rests = mpiBuffer(new Float64Array(this.size * rest.length));
      this.complete(this.mpi.gather(mpiBuffer(rest), rests));
      return firsts.map((first, rank) => {
        const all = new Float64Array(values.length);
        all.set(first);
        all.set(
          rests.view.subarray(rank * rest.length, (rank + 1) * rest.length),
          first.length,
        );
        return all;
      });
    });
  }

  weightedSums(call: Call, tensors: Tensor[], weight: number): Tensor[] {
    const total = tensors.reduce((sum, {size}) => sum + size, 0);
    const what = `sum of ${total} values in ${tensors.length} tensors`;
    return this.collective(call, what, header => {
      this.agree(header);
      if (this.bucket.view.length < total)
        this.bucket = mpiBuffer(new Float32Array(total));
      const {view} = this.bucket;
      let start = 0;
      for (const one of tensors) {
        const part = view.subarray(start, (start += one.size));
        if (weight !== 0) part.set(one.dataSync<'float32'>());
        for (let i = 0; i < part.length; ++i)
          part[i] = weight === 0 ? 0 : weight * part[i];
      }
      const whole = {view: view.subarray(0, total), address: this.bucket.address};
      if (total > 0) this.complete(this.mpi.sumInPlace(whole));
      start = 0;
      return tensors.map(({shape, size}) =>
        tensor(view.slice(start, (start += size)), shape, 'float32'),
      );
    });
  }

  broadcast(call: Call, bytes: Uint8Array): void {
    this.collective(call, `broadcast of ${bytes.length} bytes`, header => {
      this.agree(header);
      for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
        const chunk = bytes.subarray(start, start + CHUNK_BYTES);
        this.complete(this.mpi.broadcast(mpiBuffer(chunk)));
      }
    });
  }

  close(failed: boolean): void {
    if (this.state === 'closed') return;
    if (failed || this.state === 'failed') {
      this.state = 'closed';
      // Until mpirun has read what this process has said last.
      sleep(100);
      this.mpi.abort();
    } else {
      this.collective({name: 'end of the training', step: 0}, '', header =>
        this.agree(header),
      );
      this.state = 'closed';
      this.exchange.free();
      this.mpi.finalize();
    }
    process.off('exit', this.onExit);
    process.off('uncaughtExceptionMonitor', this.onError);
  }

  /** A program that ends without `close`: by an error, too early, or as all others do. */
  private exit(code: number): void {
    try {
      this.close(code !== 0);
    } catch (error) {
      this.report(error);
      process.exitCode = 1;
      this.close(true);
    }
  }

  /**
   * Says why all end. Node itself would say it after 'exit', when nobody lives any more. What
   * every replica finds out, the first of them says.
   */
  private report(error: unknown): void {
    if (error instanceof DistributedError) {
      sleep(500 * this.rank);
      console.error(`${error.name}: ${error.message}`);
    } else {
      console.error(`Rank ${this.rank} ended by an error:`, error);
    }
  }

  private collective<T>({name, step}: Call, what: string, run: (header: string) => T): T {
    const header = [step && `step ${step}`, name, what].filter(Boolean).join(', ');
    if (this.state !== 'open') {
      throw new DistributedError(
        `Rank ${this.rank}, ${header}: the replicas are no longer connected.`,
      );
    }
    try {
      return run(header);
    } catch (error) {
      this.state = 'failed';
      throw new DistributedError(
        `Rank ${this.rank}, ${header}: ${(error as Error).message}.`,
        {
          cause: error,
        },
      );
    }
  }

  /** Exchanges a block with every other replica, and sees that all make the same call. */
  private agree(header: string, values: Float64Array = new Float64Array()): void {
    const own = this.blocks[this.rank].view;
    own.set(packBlock(header, values));
    if (this.size === 1) return;
    this.exchange.start();
    this.complete(this.exchange);
    const headers = this.blocks.map(({view}) => headerOf(view));
    const other = headers.find(text => text !== headers[this.rank]);
    if (other === undefined) return;
    const ranks = [...headers.keys()].filter(rank => headers[rank] === other);
    throw new Error(`rank ${ranks.join(', ')} makes another call: ${other}`);
  }

  /** Waits for what has been started; MPI moves it on while it is asked. */
  private complete(requests: MpiRequests): void {
    for (let spins = 0; !requests.isDone(); ++spins) {
      if (spins < SPINS) continue;
      if (spins === SPINS) this.deadline = performance.now() + 1000 * this.timeoutSeconds;
      if (performance.now() > this.deadline) {
        const missing = requests.missing().join(', ');
        throw new Error(
          `${missing ? `no answer from rank ${missing}` : 'no end'} in ${this.timeoutSeconds} s`,
        );
      }
      sleep(0.05);
    }
  }

  private deadline = 0;
}

/** Some milliseconds, within which the others mostly come; then the core is left to others. */
const SPINS = 2000;

const sleeper = new Int32Array(new SharedArrayBuffer(4));

function sleep(milliseconds: number): void {
  Atomics.wait(sleeper, 0, 0, milliseconds);
}
