/** What a summary is, and what takes summaries. */
import type {Histogram} from './histogram.js';

/**
 * The values of one moment of the training, by tag: a point of the curve of each scalar, and a
 * histogram of each weight.
 */
export interface Summary {
  /** Values of the validation data go to a run of their own, under the same tags. */
  run: 'train' | 'validation';
  /** Training steps done; for the tags `epoch_…`, the epoch, from 0. */
  step: number;
  /** Seconds since 1970. */
  wallTime: number;
  scalars: Record<string, number>;
  histograms: Record<string, Histogram>;
}

/** Takes the summaries of a training. What its functions throw ends the training. */
export interface SummarySink {
  /** Called when a training begins. */
  begin?(): void | Promise<void>;
  /** Called with what became due at one time. */
  write(summaries: readonly Summary[]): void | Promise<void>;
}
