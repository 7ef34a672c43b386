/** How numbers are written for people. */

/** 12345 → 12,345 */
export function integer(value: number): string {
  return Math.round(value).toLocaleString('en');
}

/** 0.98765 → 98.77 % */
export function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(2)} %`;
}

/** 83.4 → 1:23; 3725 → 1:02:05 */
export function duration(seconds: number): string {
  const total = Math.round(seconds);
  const parts = [Math.floor(total / 60) % 60, total % 60];
  const hours = Math.floor(total / 3600);
  if (hours > 0) parts.unshift(hours);
  return parts
    .map((part, i) => (i === 0 ? part : String(part).padStart(2, '0')))
    .join(':');
}
