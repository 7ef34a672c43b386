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
    if ('dataId' in value && 'shape' in value) {
      return `a tensor of shape ${JSON.stringify(value.shape)}`;
    }
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

/** The name that was meant by one that is not known: up to two letters off, in any case. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const distances = known.map(candidate =>
    editDistance(name.toLowerCase(), candidate.toLowerCase()),
  );
  const least = Math.min(...distances);
  const isNear = least <= 2 && least < name.length / 2;
  return isNear ? known[distances.indexOf(least)] : undefined;
}

/** Letters to insert, delete or replace. Source: Levenshtein, 1966; by rows, Wagner and Fischer. */
function editDistance(a: string, b: string): number {
  let row = Array.from({length: b.length + 1}, (_, j) => j);
  for (let i = 1; i <= a.length; ++i) {
    const next = [i];
    for (let j = 1; j <= b.length; ++j) {
      const replaced = row[j - 1] + Number(a[i - 1] !== b[j - 1]);
      next.push(Math.min(replaced, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}
