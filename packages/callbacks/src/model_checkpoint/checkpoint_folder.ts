/**
 * A folder of checkpoints, each of which is a folder itself:
 *
 *     checkpoint-00000042/
 *       checkpoint.json   where the training was, and how to compile the model
 *       model.json        the layers, in the form of tf.loadLayersModel
 *       weights.bin       the weights of model.json
 *       optimizer.bin     the variables of the optimizer
 *       SHA256SUMS        the checksums of these, in the form of `sha256sum --check`
 *
 * A checkpoint is written under another name and then renamed, and renamed before it is
 * removed, so one that has its name is whole, whenever the process is killed. The checksums
 * are for what happens to it later.
 */
import {createHash} from 'node:crypto';
import {
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
} from 'node:fs/promises';
import {dirname, join, resolve} from 'node:path';

const CONTENT = [
  'checkpoint.json',
  'model.json',
  'optimizer.bin',
  'weights.bin',
] as const;
const SUMS = 'SHA256SUMS';

const CHECKPOINT = /^checkpoint-\d{8,}$/;
const PROBE = '.checkpoint-probe-';
const LEFTOVER = /^\.checkpoint-(\d{8,}\.tmp|probe-\w{6})$/;

/** What is in a checkpoint, by file name. */
export type CheckpointContent = Record<(typeof CONTENT)[number], Uint8Array>;

/** A checkpoint that could not be saved, or none that could be loaded. */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
}

/** Why a checkpoint is not whole. Another one may be. */
export class DamageError extends Error {}

export class CheckpointFolder {
  /** The absolute path. */
  readonly path: string;

  /** Those that were found damaged, which don't count among the ones to keep. */
  private damaged: readonly string[] = [];
  private hasWarned = false;

  constructor(path: string) {
    this.path = resolve(path);
  }

  /**
   * Makes the folder if it is not there, sees that it can be written to, removes what a
   * process that was killed has left half-written, and looks which of the newest checkpoints
   * are damaged.
   */
  async prepare(): Promise<void> {
    const first = await mkdir(this.path, {recursive: true});
    if (first !== undefined) await this.syncParents(first);
    // Permissions alone do not tell.
    await rmdir(await mkdtemp(join(this.path, PROBE)));
    const entries = await readdir(this.path);
    for (const entry of entries.filter(name => LEFTOVER.test(name))) {
      const leftover = this.pathOf(entry);
      await this.removing(leftover, () => rm(leftover, {recursive: true, force: true}));
    }
    this.damaged = await this.damagedNewest();
  }

  /** The names of the checkpoints, the oldest first; none if there is no such folder. */
  async list(): Promise<string[]> {
    const entries = await readdir(this.path).catch(error => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    return entries
      .filter(name => CHECKPOINT.test(name))
      .sort((a, b) => numberOf(a) - numberOf(b));
  }

  /** The path of a checkpoint. */
  pathOf(name: string): string {
    return join(this.path, name);
  }

  /** Writes a checkpoint as a whole or, if that fails, not at all. */
  async write(name: string, content: CheckpointContent): Promise<void> {
    const temporary = this.temporaryOf(name);
    try {
      await mkdir(temporary);
      for (const file of CONTENT)
        await this.writeNew(join(temporary, file), content[file]);
      await this.writeNew(join(temporary, SUMS), this.checksums(content));
      await this.sync(temporary);
      await rename(temporary, this.pathOf(name));
      await this.sync(this.path);
    } catch (error) {
      // What went wrong first is what has to be told; what this leaves, `prepare` removes.
      await rm(temporary, {recursive: true, force: true}).catch(() => {});
      throw error;
    }
  }

  /** @throws DamageError if a file is missing, can't be read or is not what was written. */
  async read(name: string): Promise<CheckpointContent> {
    const content: Partial<CheckpointContent> = {};
    for (const file of CONTENT) content[file] = await this.readPart(name, file);
    const written = new TextDecoder().decode(await this.readPart(name, SUMS));
    const whole = content as CheckpointContent;
    if (written !== this.checksums(whole)) {
      const damaged = CONTENT.filter(
        file => !written.split('\n').includes(this.checksum(file, whole[file])),
      );
      throw new DamageError(
        damaged.length === 0
          ? `${SUMS} was changed`
          : `what is in ${damaged.join(', ')} does not have the checksum in ${SUMS}`,
      );
    }
    return whole;
  }

  /**
   * Removes the checkpoints that are older than the newest `keep`, except the best one. A
   * checkpoint that was damaged when the folder was prepared is not one of the `keep`: the one
   * before it, which is what can be loaded, is kept in its place.
   */
  async prune(keep: number, best: string | undefined): Promise<void> {
    const names = await this.list();
    const kept = names.filter(name => !this.damaged.includes(name)).slice(-keep);
    for (const name of names.slice(0, names.indexOf(kept[0]))) {
      if (name !== best) await this.removing(this.pathOf(name), () => this.remove(name));
    }
  }

  private async remove(name: string): Promise<void> {
    const temporary = this.temporaryOf(name);
    await rename(this.pathOf(name), temporary);
    await rm(temporary, {recursive: true, force: true});
  }

  /** What is left behind takes up room, and is not worth a training. */
  private async removing(path: string, remove: () => Promise<void>): Promise<void> {
    try {
      await remove();
    } catch (error) {
      if (this.hasWarned) return;
      this.hasWarned = true;
      console.warn(
        `ModelCheckpoint: ${path} can't be removed: ${reasonOf(error)}. It takes up room, ` +
          'and so may others, of which there is no warning. The training goes on.',
      );
    }
  }

  /** Those that are newer than the newest one that is whole. */
  private async damagedNewest(): Promise<string[]> {
    const damaged: string[] = [];
    for (const name of (await this.list()).reverse()) {
      try {
        await this.read(name);
        break;
      } catch (error) {
        if (!(error instanceof DamageError)) throw error;
        damaged.push(name);
      }
    }
    return damaged;
  }

  private temporaryOf(name: string): string {
    return this.pathOf(`.${name}.tmp`);
  }

  /** Writes a file and waits until it is on the disk. */
  private async writeNew(path: string, content: string | Uint8Array): Promise<void> {
    const file = await open(path, 'wx');
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  private async readPart(name: string, file: string): Promise<Uint8Array> {
    try {
      return await readFile(join(this.pathOf(name), file));
    } catch (error) {
      throw new DamageError(`${file} can't be read: ${reasonOf(error)}`, {cause: error});
    }
  }

  /** Waits until the folders from `first`, which is new, to this one are on the disk. */
  private async syncParents(first: string): Promise<void> {
    for (let path = this.path; path.length >= first.length; path = dirname(path))
      await this.sync(dirname(path));
  }

  /** Waits until the names in a folder are on the disk. */
  private async sync(path: string): Promise<void> {
    // Windows has no such call, and writes names at once.
    if (process.platform === 'win32') return;
    const folder = await open(path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  private checksums(content: CheckpointContent): string {
    return CONTENT.map(file => `${this.checksum(file, content[file])}\n`).join('');
  }

  private checksum(file: string, content: Uint8Array): string {
    const hash = createHash('sha256').update(content).digest('hex');
    return `${hash}  ${file}`;
  }
}

/** Names are in the order of saving, whatever step of which training that was at. */
export function checkpointName(number: number): string {
  return `checkpoint-${String(number).padStart(8, '0')}`;
}

export function numberOf(name: string): number {
  return Number(name.slice(name.indexOf('-') + 1));
}

const reasons: Record<string, string> = {
  EACCES: 'permission is denied',
  EDQUOT: 'the disk quota is used up',
  EEXIST: 'something of that name is there',
  EFBIG: 'the file is larger than is allowed',
  EIO: 'the disk reported an error',
  EMFILE: 'too many files are open',
  ENFILE: 'too many files are open in the system',
  ENOENT: 'it is missing',
  ENOSPC: 'no space is left on the disk',
  ENOTDIR: 'a part of the path is not a folder',
  EPERM: 'permission is denied',
  EROFS: 'the file system can only be read',
};

/** Why a call of the file system failed, in words and by its code. */
export function reasonOf(error: unknown): string {
  const {code, message} = error as {code?: string; message?: string};
  if (code === undefined) return message ?? String(error);
  return code in reasons ? `${reasons[code]} (${code})` : `${message}`;
}
