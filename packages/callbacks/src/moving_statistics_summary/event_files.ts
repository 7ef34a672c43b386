/** Writes summaries to TensorBoard event files; in a browser, no_event_files.ts is in its place. */
import {EventFile} from './event_file.js';
import {summaryRecord} from './event_records.js';
import type {Summary, SummarySink} from './summary.js';
import {join} from '../node_files.js';

type Run = Summary['run'];

/** A folder a run, and in each a file a training. */
export class EventFiles implements SummarySink {
  private readonly files = new Map<Run, EventFile>();

  constructor(private readonly logdir: string) {}

  async begin(): Promise<void> {
    this.files.clear();
    // So that a folder that can't be written is an error before the first step.
    await this.fileOf('train');
  }

  async write(summaries: readonly Summary[]): Promise<void> {
    for (const run of new Set(summaries.map(summary => summary.run))) {
      const file = await this.fileOf(run);
      await file.append(
        summaries.filter(summary => summary.run === run).map(summaryRecord),
      );
    }
  }

  private async fileOf(run: Run): Promise<EventFile> {
    const file = this.files.get(run) ?? (await EventFile.create(join(this.logdir, run)));
    this.files.set(run, file);
    return file;
  }
}
