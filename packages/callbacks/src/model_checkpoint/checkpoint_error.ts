/** The errors of saving and of loading checkpoints, and why a file could not be used. */

/** A checkpoint that could not be saved, or none that could be loaded. */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
}

/** Why a checkpoint is not whole. Another one may be. */
export class DamageError extends Error {}

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
  ENOTDIR: 'a part of the path is no folder',
  EPERM: 'permission is denied',
  EROFS: 'the file system can only be read',
};

/** Why a call of the file system failed, in words and by its code. */
export function reasonOf(error: unknown): string {
  const {code, message} = error as {code?: string; message?: string};
  if (code === undefined) return message ?? String(error);
  return code in reasons ? `${reasons[code]} (${code})` : `${message}`;
}
