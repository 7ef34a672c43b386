/** How numbers and names are written for people. */
import type {BackendReport} from './report.js';
import type {Network} from './requests.js';

/** Three significant digits, and all those before the point: 1234, 12.3, 0.0123. */
export function milliseconds(value: number): string {
  return threeDigits(value);
}

/** As milliseconds; nothing where there is none. */
export function ratio(value: number | undefined): string {
  return value === undefined ? '' : threeDigits(value);
}

/** A ratio in percent, without the sign: 0.0123 is 1.23. */
export function percentage(value: number): string {
  return threeDigits(100 * value);
}

/** Also small ones: 1.2e-7. */
export function targetValue(value: number): string {
  return Math.abs(value) < 1e-3 ? value.toExponential(1) : threeDigits(value);
}

function threeDigits(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

/** ResNet-20, 64 of 32×32×3 */
export function networkTitle({name, batchSize, imageShape}: Network): string {
  return `${name}, ${batchSize} of ${imageShape.join('×')}`;
}

/** tensorflow: AMD EPYC, TensorFlow 2.20.0 */
export function backendTitle({backend, device, versions}: BackendReport): string {
  const parts = [
    device?.name ?? 'not opened',
    ...Object.entries(versions).map(([name, version]) => `${name} ${version}`),
  ];
  return `${backend}: ${parts.join(', ')}`;
}
