/** What all engines have in common: the replicas agree on a call before they make it. */
import type {Tensor} from '@tensorflow/tfjs-core';

import {bytesOf, headerOf, packBlock, VALUES_IN_BLOCK, valuesOf} from './call_block.js';
import {DistributedError} from './distributed_error.js';
import type {Call, Engine} from './engine.js';

/**
 * How many times as long a replica waits at the end of the program: another may have a model to
 * save and to test.
 */
const PATIENCE_AT_THE_END = 20;

/**
 * An engine over something that can exchange bytes. In each call the replicas first exchange a
 * block of one size, which says what call it is, and holds its values if they are few.
 */
export abstract class AgreeingEngine implements Engine {
  private state: 'open' | 'failed' | 'closed' = 'open';
  /** For the others, if this process ends by an error. */
  protected lastCall = 'before its first call';
  private readonly onExit = (code: number) => this.exit(code);

  protected constructor(
    readonly name: string,
    readonly rank: number,
    readonly size: number,
    /** How long a replica waits for the others in one call. */
    protected timeoutSeconds: number,
  ) {
    process.on('exit', this.onExit);
  }

  /** Every replica's block, by rank. */
  protected abstract exchange(block: Uint8Array): Uint8Array[];

  /** Every replica's bytes, by rank; as many of each, a multiple of four. */
  protected abstract gatherBytes(bytes: Uint8Array): Uint8Array[];

  protected abstract sums(tensors: Tensor[], weight: number): Tensor[];

  protected abstract broadcastBytes(bytes: Uint8Array): void;

  /** Ends all replicas, of which this one has failed. */
  protected abstract abort(): void;

  /** Disconnects, when all have agreed that it is the end. */
  protected abstract leave(): void;

  /** Runs a call within the time, if the engine can tell. */
  protected inTime<T>(_header: string, run: () => T): T {
    return run();
  }

  /**
   * Why a call has failed, for people.
   *
   * @param _here Which call of which rank, as messages begin.
   */
  protected reasonOf(error: Error, _here: string): string {
    return error.message;
  }

  gather(call: Call, values: Float64Array): Float64Array[] {
    return this.collective(call, `gather of ${values.length} values`, header => {
      const firsts = this.agree(header, values.subarray(0, VALUES_IN_BLOCK));
      if (values.length <= VALUES_IN_BLOCK) return firsts;
      const rests = this.gatherBytes(bytesOf(values.slice(VALUES_IN_BLOCK)));
      return firsts.map((first, rank) => {
        const all = new Float64Array(values.length);
        all.set(first);
        bytesOf(all).set(rests[rank], first.byteLength);
        return all;
      });
    });
  }

  weightedSums(call: Call, tensors: Tensor[], weight: number): Tensor[] {
    const total = tensors.reduce((sum, {size}) => sum + size, 0);
    const what = `sum of ${total} values in ${tensors.length} tensors`;
    return this.collective(call, what, header => {
      this.agree(header);
      return this.sums(tensors, weight);
    });
  }

  broadcast(call: Call, bytes: Uint8Array): void {
    this.collective(call, `broadcast of ${bytes.length} bytes`, header => {
      this.agree(header);
      this.broadcastBytes(bytes);
    });
  }

  close(failed: boolean): void {
    if (this.state === 'closed') return;
    const isAgreed = this.state === 'open' && !failed;
    if (isAgreed) {
      this.timeoutSeconds *= PATIENCE_AT_THE_END;
      const end = {name: 'end of the training', step: 0};
      this.collective(end, '', header => this.agree(header));
    }
    this.state = 'closed';
    process.off('exit', this.onExit);
    if (isAgreed) this.leave();
    else this.abort();
  }

  /** A program that ends without `close`: by an error, too early, or as all others do. */
  private exit(code: number): void {
    if (code === 0 && this.state === 'failed') process.exitCode = 1;
    try {
      this.close(code !== 0);
    } catch (error) {
      this.report(error);
      process.exitCode = 1;
      this.close(true);
    }
  }

  protected report(error: unknown): void {
    console.error(error instanceof DistributedError ? String(error) : error);
  }

  private collective<T>({name, step}: Call, what: string, run: (header: string) => T): T {
    const header = [step && `step ${step}`, name, what].filter(Boolean).join(', ');
    if (this.state !== 'open') {
      throw new DistributedError(
        `Rank ${this.rank}, ${header}: the replicas are no longer connected.`,
      );
    }
    try {
      const result = this.inTime(header, () => run(header));
      this.lastCall = `after ${header}`;
      return result;
    } catch (error) {
      this.state = 'failed';
      this.lastCall = `in ${header}`;
      const here = `rank ${this.rank}, ${header}: `;
      const failure =
        here +
        (error instanceof Disagreement
          ? error.message
          : this.reasonOf(error as Error, here));
      this.failed(failure);
      throw new DistributedError(`R${failure.slice(1)}.`, {cause: error});
    }
  }

  /** A call has failed, and this replica makes no other. */
  protected failed(_message: string): void {}

  /** @throws Disagreement unless all make the same call. */
  private agree(
    header: string,
    values: Float64Array = new Float64Array(),
  ): Float64Array[] {
    const blocks = this.exchange(packBlock(header, values));
    const headers = blocks.map(headerOf);
    const other = headers.find(text => text !== headers[this.rank]);
    if (other !== undefined) {
      const ranks = [...headers.keys()].filter(rank => headers[rank] === other);
      throw new Disagreement(`rank ${ranks.join(', ')} makes another call: ${other}`);
    }
    return blocks.map(block => valuesOf(block, values.length));
  }
}

/** The replicas do not make the same call. */
class Disagreement extends Error {}
