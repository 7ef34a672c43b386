/** A file of events that TensorBoard reads. */
import {appendFile, hostname, join, mkdir, truncate, writeFile} from '../node_files.js';
import {versionRecord} from './event_records.js';

/**
 * Opened for each append and closed again: no handle leaks if a training ends by an error, of
 * which a callback is not told.
 */
export class EventFile {
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
