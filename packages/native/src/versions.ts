/** Compares dotted versions; a part that is missing counts as 0. */
export function isAtLeast(version: string, minimum: string): boolean {
  const [actual, wanted] = [version, minimum].map(text =>
    text.split('.').map(parseFloat),
  );
  for (let i = 0; i < Math.max(actual.length, wanted.length); i++) {
    const difference = (actual[i] ?? 0) - (wanted[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}
