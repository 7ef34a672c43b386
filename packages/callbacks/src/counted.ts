/** Numbers and what they count, as messages and the progress bar write them. */

/** 12345 → 12,345 */
export function integer(value: number): string {
  return Math.round(value).toLocaleString('en');
}

/** 1 update, 7,182 updates */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${integer(count)} ${count === 1 ? noun : plural}`;
}
