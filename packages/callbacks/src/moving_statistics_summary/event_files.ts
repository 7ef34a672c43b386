/** Writes summaries to the event files that TensorBoard reads. */
import {appendFile, mkdir, truncate, writeFile} from 'node:fs/promises';
import {hostname} from 'node:os';
import {join} from 'node:path';

import {checkText} from '../arguments.js';
import {summaryRecord, versionRecord} from './event_records.js';
import type {Summary, SummaryWriter} from './summary.js';

/**
 * Writes the summaries of `MovingStatisticsSummary` to TensorBoard event files:
 *
 *     const summary = new MovingStatisticsSummary({writer: eventFiles('logs')});
 *
 * Each training writes new files, into `folder/train` and, of the validation data,
 * `folder/validation`. Each summary is appended at once, so what was written stays readable
 * however the training ends.
 *
 * @param folder Is made if need be, when the training begins.
 * @throws ValueError if `folder` is not a string or is empty. Its writer throws an Error if the
 *     files can't be written.
 */
export function eventFiles(folder: string): SummaryWriter {
  checkText('eventFiles', 'folder', folder);
  return new EventFiles(folder);
}

type Run = Summary['run'];

/** A folder for each run, and in it a file for each training. */
class EventFiles implements SummaryWriter {
  private readonly files = new Map<Run, EventFile>();

  constructor(private readonly folder: string) {}

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
    const file = this.files.get(run) ?? (await EventFile.create(join(this.folder, run)));
    this.files.set(run, file);
    return file;
  }
}

/**
 * A file of events. It is opened for each append and closed again: no handle leaks if a
 * training ends by an error, of which a callback is not told.
 */
class EventFile {
  private constructor(
    private readonly path: string,
    /** Of the records that are whole. */
    private size: number,
  ) {}

  /**
   * Makes the file, and the folder if need be. Its name is the least one that no file of the
   * folder has, and sorts behind those of the files that were made earlier.
   *
   * @throws Error if it can't be written.
   */
  static async create(folder: string): Promise<EventFile> {
    const seconds = Date.now() / 1000;
    const content = versionRecord(seconds);
    return naming(folder, async () => {
      await mkdir(folder, {recursive: true});
      const stem = `events.out.tfevents.${Math.floor(seconds)}.${hostname()}`;
      for (let n = 0; ; n++) {
        const path = join(folder, `${stem}.${String(n).padStart(4, '0')}`);
        if (await writeNew(path, content)) return new EventFile(path, content.length);
      }
    });
  }

  /** @throws Error if it can't be written; the records of earlier calls are left then. */
  async append(records: readonly Uint8Array[]): Promise<void> {
    const size = records.reduce((sum, {length}) => sum + length, 0);
    const content = new Uint8Array(size);
    let end = 0;
    for (const record of records) {
      content.set(record, end);
      end += record.length;
    }
    await naming(this.path, async () => {
      try {
        await appendFile(this.path, content);
      } catch (error) {
        // Half a record, as a full disk leaves it. TensorBoard would wait for the rest.
        await truncate(this.path, this.size).catch(() => {});
        throw error;
      }
    });
    this.size += size;
  }
}

/** False if there is such a file. */
async function writeNew(path: string, content: Uint8Array): Promise<boolean> {
  try {
    await writeFile(path, content, {flag: 'wx'});
    return true;
  } catch (error) {
    if ((error as {code?: string}).code === 'EEXIST') return false;
    throw error;
  }
}

async function naming<T>(path: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    throw new Error(
      `MovingStatisticsSummary: event files can't be written to '${path}': ` +
        `${(error as Error).message}. What was written before can be read`,
      {cause: error},
    );
  }
}
