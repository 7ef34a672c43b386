/** What a user can put right: what is wrong, and the command or the step that mends it. */
export class NativeError extends Error {
  override readonly name = 'NativeError';

  constructor(
    readonly problem: string,
    readonly remedy: string,
  ) {
    super(`${/[.!?]$/.test(problem) ? problem : `${problem}.`} ${remedy}`);
  }
}

/** The first line of what was thrown, for a message of one line. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n')[0].trim();
}
