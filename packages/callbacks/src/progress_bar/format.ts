/** How a progress bar writes what it shows. */

/** 83.4 → 1:23; 3725 → 1:02:05 */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?:??';
  const total = Math.round(seconds);
  const parts = [Math.floor(total / 60) % 60, total % 60];
  const hours = Math.floor(total / 3600);
  if (hours > 0) parts.unshift(hours);
  return parts
    .map((part, i) => (i === 0 ? part : String(part).padStart(2, '0')))
    .join(':');
}

/** 0.123456 → 0.1235; 1.2e-7 → 1.20e-7, so that a small loss is not shown as 0. */
export function quantity(value: number): string {
  const isSmall = value !== 0 && Math.abs(value) < 1e-3;
  return isSmall ? value.toExponential(2) : value.toFixed(4);
}

const BAR_SIZE = 20;

/** 0.5 → ██████████░░░░░░░░░░ */
export function bar(fraction: number): string {
  const full = Math.min(BAR_SIZE, Math.floor(fraction * BAR_SIZE));
  return '█'.repeat(full) + '░'.repeat(BAR_SIZE - full);
}
