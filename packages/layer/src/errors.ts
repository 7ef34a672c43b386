/**
 * An argument has a value that can't be worked with. Named after the error that Keras raises,
 * so that `error.name === 'ValueError'` tells it apart.
 */
export class ValueError extends Error {
  override readonly name = 'ValueError';
}

/** What came in, for the end of a message: `Received: …`. */
export function describe(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'symbol') return value.toString();
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const kind = value.constructor?.name;
    if (kind !== undefined && kind !== 'Object') return `an instance of ${kind}`;
  }
  try {
    return typeof value === 'number'
      ? String(value)
      : (JSON.stringify(value) ?? 'undefined');
  } catch {
    return 'an object with a cycle';
  }
}
