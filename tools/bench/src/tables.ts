/** The report for people: tables of ratios, and what was left out. */
import {makeTable} from '@resbatchnorm/tools-common/report';

import {networkTitle, shapeName} from './cases.js';
import type {
  BackendReport,
  CallbackTimes,
  NormTimes,
  Report,
  StepTimes,
} from './report.js';

export function reportTables(
  report: Pick<Report, 'backends' | 'notes' | 'targets'>,
): string {
  const {backends, targets} = report;
  const sections = [
    backends.some(({norms}) => norms.length > 0) && normTable(backends),
    backends.some(({steps}) => steps.length > 0) && stepTable(backends),
    backends.some(({memory}) => memory) && memoryTable(backends),
    backends.some(({callbacks}) => callbacks) && callbackTable(backends),
    targets.length > 0 && targetTable(report),
    remarks(report).join('\n'),
  ];
  return sections.filter(Boolean).join('\n\n');
}

function normTable(backends: readonly BackendReport[]): string {
  const table = makeTable(
    [
      'backend',
      'shape',
      'ms',
      'built-in ms',
      '× faster\nthan built-in',
      '× faster\nthan composed',
      'Keras\n/ ours',
      'PyTorch\n/ ours',
      'ours /\nleast time',
    ],
    {leftColumns: [0, 1]},
  );
  const directions = new Set(
    backends.flatMap(({norms}) => norms.map(({direction}) => direction)),
  );
  for (const direction of directions) {
    table.push([{content: direction, colSpan: 9}]);
    for (const report of backends) {
      for (const times of report.norms) {
        if (times.direction === direction) table.push(normRow(report, times));
      }
    }
  }
  return `Batch normalization in training mode:\n${table.toString()}`;
}

function normRow(
  {backend}: BackendReport,
  {shape, samples, ratios}: NormTimes,
): string[] {
  return [
    backend,
    shapeName(shape),
    milliseconds(samples.ours.median),
    milliseconds(samples.builtIn.median),
    ratio(ratios['builtIn / ours']),
    ratio(ratios['composed / ours']),
    ratio(ratios['keras / ours']),
    ratio(ratios['pytorch / ours']),
    ratio(ratios['ours / least']),
  ];
}

function stepTable(backends: readonly BackendReport[]): string {
  const table = makeTable(
    [
      'backend',
      'network',
      'ms',
      'built-in ms',
      'no norm ms',
      'ours /\nbuilt-in',
      'Keras\n/ ours',
      'PyTorch\n/ ours',
    ],
    {leftColumns: [0, 1]},
  );
  for (const {backend, steps} of backends) {
    for (const times of steps) table.push([backend, ...stepCells(times)]);
  }
  return `A training step of whole networks:\n${table.toString()}`;
}

function stepCells({network, samples, ratios}: StepTimes): string[] {
  return [
    networkTitle(network),
    milliseconds(samples.ours.median),
    milliseconds(samples.builtIn.median),
    milliseconds(samples.none.median),
    ratio(1 / ratios['builtIn / ours']),
    ratio(ratios['keras / ours']),
    ratio(ratios['pytorch / ours']),
  ];
}

function memoryTable(backends: readonly BackendReport[]): string {
  const table = makeTable(
    [
      'backend',
      'network',
      'MiB',
      'built-in MiB',
      'ours /\nbuilt-in',
      'the same in\nbuffers',
    ],
    {leftColumns: [0, 1]},
  );
  for (const {backend, memory} of backends) {
    if (!memory) continue;
    const {network, peaks, ratios} = memory;
    const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
    table.push([
      backend,
      networkTitle(network),
      mebibytes(peaks.ours.numBytes),
      mebibytes(peaks.builtIn.numBytes),
      ratio(ratios['ours / builtIn, numBytes']),
      ratio(ratios['ours / builtIn, bufferBytes']),
    ]);
  }
  return `Peak of tf.memory().numBytes within a training step:\n${table.toString()}`;
}

function callbackTable(backends: readonly BackendReport[]): string {
  const table = makeTable(
    ['backend', 'in', 'ms', '% of\na step', 'ms of a\ndue step', "ms of an\nepoch's end"],
    {leftColumns: [0, 1]},
  );
  for (const {backend, callbacks} of backends) {
    if (callbacks) table.push(...callbackRows(backend, callbacks));
  }
  return `A training step on which nothing is due, and the callbacks' hooks:\n${table.toString()}`;
}

function callbackRows(
  backend: string,
  {network, step, hooks, eventLoop, ratios}: CallbackTimes,
): string[][] {
  return [
    [backend, `step of ${networkTitle(network)}`, milliseconds(step.median), '', '', ''],
    ...Object.entries(hooks).map(([name, {idleStep, dueStep, epochEnd}]) => [
      backend,
      name,
      milliseconds(idleStep.median),
      percentage(ratios[`${name} / step`]),
      dueStep ? milliseconds(dueStep.median) : '',
      milliseconds(epochEnd.median),
    ]),
    [backend, 'event loop', milliseconds(eventLoop.median), '', '', ''],
  ];
}

function targetTable({targets}: Pick<Report, 'targets'>): string {
  const table = makeTable(['what', 'target', 'measured', 'reached'], {leftColumns: [0]});
  for (const {what, relation, target, measured, reached} of targets) {
    table.push([
      what,
      `${relation} ${targetValue(target)}`,
      targetValue(measured),
      reached ? 'yes' : 'NO',
    ]);
  }
  const count = targets.filter(({reached}) => reached).length;
  return `Targets, ${count} of ${targets.length} reached:\n${table.toString()}`;
}

/** One line each. */
function remarks({backends, notes}: Pick<Report, 'backends' | 'notes'>): string[] {
  return [
    ...backends.filter(({absent}) => absent === undefined).map(describe),
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
  const {copy, notes} = report;
  return [
    backendTitle(report),
    ...(copy ? [`copies at ${copy.gigabytesPerSecond.toPrecision(3)} GB/s`] : []),
    ...notes,
  ].join('; ');
}

/** Three significant digits, and all those before the point: 1234, 12.3, 0.0123. */
function milliseconds(value: number): string {
  return threeDigits(value);
}

/** As milliseconds; nothing where there is none. */
function ratio(value: number | undefined): string {
  return value === undefined ? '' : threeDigits(value);
}

/** A ratio in percent, without the sign: 0.0123 is 1.23. */
function percentage(value: number): string {
  return threeDigits(100 * value);
}

/** Also small ones: 1.2e-7. */
function targetValue(value: number): string {
  return Math.abs(value) < 1e-3 ? value.toExponential(1) : threeDigits(value);
}

function threeDigits(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

/** tensorflow: AMD EPYC, TensorFlow 2.20.0 */
function backendTitle({backend, device, versions}: BackendReport): string {
  const parts = [
    device?.name ?? 'not opened',
    ...Object.entries(versions).map(([name, version]) => `${name} ${version}`),
  ];
  return `${backend}: ${parts.join(', ')}`;
}
