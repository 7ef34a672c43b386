/** The report for people: tables of ratios, and what was left out. */
import {makeTable} from '@resbatchnorm/tools-common/report';

import {networkTitle, shapeName, smallShape} from './cases.js';
import {remarks} from './remarks.js';
import {
  type BackendReport,
  type CallbackTimes,
  type DispatchTimes,
  type DistributedReport,
  type InferenceTimes,
  type NormTimes,
  type Report,
  type StepTimes,
  threeDigits,
} from './report.js';

export function reportTables(
  report: Pick<Report, 'backends' | 'notes' | 'targets' | 'usesOneDnn'>,
): string {
  const {backends, targets} = report;
  const sections = [
    backends.some(({norms}) => norms.length > 0) && normTable(backends),
    backends.some(({dispatch}) => dispatch.length > 0) && dispatchTable(backends),
    backends.some(({inference}) => inference.length > 0) && inferenceTable(backends),
    backends.some(({steps}) => steps.length > 0) && stepTable(backends),
    backends.some(({memory}) => memory) && memoryTable(backends),
    backends.some(({callbacks}) => callbacks) && callbackTable(backends),
    ...backends.flatMap(({distributed}) =>
      distributed ? [efficiencyTable(distributed), collectiveTable(distributed)] : [],
    ),
    targets.length > 0 && targetTable(report),
    remarks(report).join('\n'),
  ];
  const legend = 'Ours is ResBatchNorm, the built-in tf.layers.batchNormalization.';
  return [legend, ...sections].filter(Boolean).join('\n\n');
}

function normTable(backends: readonly BackendReport[]): string {
  const table = makeTable(
    [
      'backend',
      'shape',
      'ours ms',
      'built-in ms',
      '× faster\nthan built-in',
      '× faster\nthan composed',
      'ours /\nKeras',
      'ours /\nPyTorch',
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
    threeDigits(samples.ours.median),
    threeDigits(samples.builtIn.median),
    ratio(ratios['builtIn / ours']),
    ratio(ratios['composed / ours']),
    inverse(ratios['keras / ours']),
    inverse(ratios['pytorch / ours']),
    ratio(ratios['ours / least']),
  ];
}

function dispatchTable(backends: readonly BackendReport[]): string {
  const table = makeTable(
    [
      'backend',
      'call',
      'ours µs',
      'built-in µs',
      'multiplication µs',
      'ours /\nbuilt-in',
      'ours /\nmultiplication',
    ],
    {leftColumns: [0, 1]},
  );
  for (const {backend, dispatch} of backends) {
    for (const times of dispatch) table.push([backend, ...dispatchCells(times)]);
  }
  return (
    `What small calls cost: the layer on ${shapeName(smallShape)}, in training forward, ` +
    'backward and the\nmoving statistics, beside the gradient of one multiplication:\n' +
    table.toString()
  );
}

const titles = {
  training: 'training, forward + backward',
  inference: 'inference',
};

function dispatchCells({phase, samples, ratios}: DispatchTimes): string[] {
  const {ours, builtIn, multiplication} = samples;
  return [
    titles[phase],
    microseconds(ours.median),
    microseconds(builtIn.median),
    multiplication ? microseconds(multiplication.median) : '',
    ratio(ratios['ours / builtIn']),
    ratio(ratios['ours / multiplication']),
  ];
}

function inferenceTable(backends: readonly BackendReport[]): string {
  const table = makeTable(
    [
      'backend',
      'network',
      'ours ms',
      'ours ms, ReLU\nin the norm',
      'built-in ms',
      'no norm ms',
      'ours /\nbuilt-in',
      'ReLU in the norm\n/ built-in',
    ],
    {leftColumns: [0, 1]},
  );
  for (const {backend, inference} of backends) {
    for (const times of inference) table.push([backend, ...inferenceCells(times)]);
  }
  return (
    'The prediction of whole networks; norm and ReLU are two layers, or one with ' +
    `ResBatchNorm:\n${table.toString()}`
  );
}

function inferenceCells({network, samples, ratios}: InferenceTimes): string[] {
  return [
    networkTitle(network),
    threeDigits(samples.ours.median),
    threeDigits(samples['ours with activation'].median),
    threeDigits(samples.builtIn.median),
    threeDigits(samples.none.median),
    ratio(ratios['ours / builtIn']),
    ratio(ratios['ours with activation / builtIn']),
  ];
}

function stepTable(backends: readonly BackendReport[]): string {
  const table = makeTable(
    [
      'backend',
      'network',
      'ours ms',
      'built-in ms',
      'no norm ms',
      'ours /\nbuilt-in',
      'ours /\nKeras',
      'ours /\nPyTorch',
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
    threeDigits(samples.ours.median),
    threeDigits(samples.builtIn.median),
    threeDigits(samples.none.median),
    inverse(ratios['builtIn / ours']),
    inverse(ratios['keras / ours']),
    inverse(ratios['pytorch / ours']),
  ];
}

function memoryTable(backends: readonly BackendReport[]): string {
  const table = makeTable(
    [
      'backend',
      'network',
      'ours MiB',
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
    [backend, `step of ${networkTitle(network)}`, threeDigits(step.median), '', '', ''],
    ...Object.entries(hooks).map(([name, {idleStep, dueStep, epochEnd}]) => [
      backend,
      name,
      threeDigits(idleStep.median),
      percentage(ratios[`${name} / step`]),
      dueStep ? threeDigits(dueStep.median) : '',
      threeDigits(epochEnd.median),
    ]),
    [backend, 'event loop', threeDigits(eventLoop.median), '', '', ''],
  ];
}

function efficiencyTable({engine, efficiencies}: DistributedReport): string {
  const table = makeTable(
    ['network, a replica', 'replicas', 'joined ms', 'independent ms', 'efficiency'],
    {leftColumns: [0]},
  );
  for (const {network, replicas, samples, efficiency} of efficiencies) {
    table.push([
      networkTitle(network),
      String(replicas),
      threeDigits(samples.joined.median),
      threeDigits(samples.independent.median),
      threeDigits(efficiency),
    ]);
  }
  return (
    `A training step of several replicas over ${engine}, together and each for itself:\n` +
    table.toString()
  );
}

function collectiveTable({engine, collectives}: DistributedReport): string {
  const table = makeTable(['call', 'values', 'µs'], {leftColumns: [0]});
  for (const {call, values, sample} of collectives) {
    table.push([call, String(values), microseconds(sample.median)]);
  }
  return (
    `What two replicas exchange over ${engine}; gather is of float64, sum of a float32 gradient\n` +
    `within a step of sgd:\n${table.toString()}`
  );
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

/** Of milliseconds. */
function microseconds(value: number): string {
  return threeDigits(1000 * value);
}

/** Nothing where there is none. */
function ratio(value: number | undefined): string {
  return value === undefined ? '' : threeDigits(value);
}

/** ours / builtIn for builtIn / ours; nothing where there is none. */
function inverse(value: number | undefined): string {
  return value === undefined ? '' : threeDigits(1 / value);
}

/** A ratio in percent, without the sign: 0.0123 is 1.23. */
function percentage(value: number): string {
  return threeDigits(100 * value);
}

/** Also small ones: 1.2e-7. */
function targetValue(value: number): string {
  return Math.abs(value) < 1e-3 ? value.toExponential(1) : threeDigits(value);
}
