/** The errors for arguments that are wrong, and how they show what was received. */

/** A wrong argument. tfjs-layers names its own errors of this kind the same. */
export class ValueError extends Error {
  override readonly name = 'ValueError';
}

/** What came in, for the end of a message: `Received: …`. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'object' || value === null) return String(value);
  const kind = value.constructor?.name ?? 'Object';
  return kind === 'Object' ? 'a plain object' : `an instance of ${kind}`;
}
