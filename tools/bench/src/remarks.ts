/** The last lines of the report for people: what was measured on, what failed, what was left out. */
import type {BackendReport, Report} from './report.js';

/** One line each. */
export function remarks({
  backends,
  notes,
  usesOneDnn,
}: Pick<Report, 'backends' | 'notes' | 'usesOneDnn'>): string[] {
  return [
    ...backends.filter(({absent}) => absent === undefined).map(describe),
    ...Object.entries(usesOneDnn).map(([library, on]) => `${library}: ${oneDnn(on)}`),
    ...backends.flatMap(({backend, failures}) =>
      failures.map(failure => `FAILED ${backend}: ${failure}`),
    ),
    ...backends
      .filter(({absent}) => absent !== undefined)
      .map(({backend, absent}) => `${backend} is left out: ${absent}`),
    ...notes,
  ];
}

function describe(report: BackendReport): string {
  const {copy, usesOneDnn, notes} = report;
  return [
    backendTitle(report),
    ...(copy ? [`copies at ${copy.gigabytesPerSecond.toPrecision(3)} GB/s`] : []),
    ...(usesOneDnn === undefined ? [] : [oneDnn(usesOneDnn)]),
    ...notes,
  ].join('; ');
}

function oneDnn(isOn: boolean): string {
  return `oneDNN ${isOn ? 'on' : 'off'}`;
}

/** tensorflow: AMD EPYC, TensorFlow 2.20.0 */
function backendTitle({backend, device, versions}: BackendReport): string {
  const parts = [
    device?.name ?? 'not opened',
    ...Object.entries(versions).map(([name, version]) => `${name} ${version}`),
  ];
  return `${backend}: ${parts.join(', ')}`;
}
