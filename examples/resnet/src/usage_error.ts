import {isNativeError} from 'node:util/types';

/** What the user can put right. It is shown as one line, and the exit code is 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Why something failed, short enough for a one-line error. */
export function reasonOf(error: unknown): string {
  const message = isNativeError(error) ? error.message : String(error);
  // Node's errors of the file system repeat the call and the path: `ENOENT: no such file or
  // directory, open '/data/test_batch.bin'`.
  const [, reason] = /^E[A-Z0-9]+: ([^,]+), /.exec(message) ?? [];
  return reason ?? message.split('\n')[0];
}
