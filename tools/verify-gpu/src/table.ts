/** The short form of the report. */
import Table from 'cli-table3';

import {type Check, type Report, type WayReport, wayTitles} from './report.js';

export function reportTable({ways, verdict}: Pick<Report, 'ways' | 'verdict'>): string {
  const ran = ways.filter(({outcome}) => outcome !== 'absent');
  return [...ran.map(wayTable), verdict.lines.join('\n')].join('\n\n');
}

function wayTable(report: WayReport): string {
  const table = new Table({
    head: ['check', 'passed', 'worst', 'limit', 'where'],
    colAligns: ['left', 'right', 'right', 'right', 'left'],
    style: {compact: true, border: [], head: []},
  });
  for (const checks of groupsOf(report.checks)) {
    const {group, measured, relation, limit, unit, name} = worstOf(checks);
    const passed = checks.filter(check => check.passed).length;
    table.push([
      group,
      `${passed === checks.length ? '' : 'NO: '}${passed} of ${checks.length}`,
      number(measured),
      [relation, number(limit), unit].filter(Boolean).join(' '),
      name,
    ]);
  }
  return [
    heading(report),
    table.toString(),
    ...(report.stepTimes ? [timesOf(report.stepTimes)] : []),
    ...report.notMeasured.map(what => `Not measured: ${what}`),
  ].join('\n');
}

function heading({way, device}: WayReport): string {
  if (!device) return wayTitles[way];
  const versions = Object.entries(device.versions).map(
    ([name, version]) => `${name} ${version}`,
  );
  return [
    `${wayTitles[way]}: ${device.name}`,
    ...(device.isSoftware ? ['SOFTWARE, NOT A GPU'] : []),
    ...versions,
  ].join(', ');
}

function groupsOf(checks: Check[]): Check[][] {
  const names = [...new Set(checks.map(({group}) => group))];
  return names.map(name => checks.filter(({group}) => group === name));
}

/** The first that failed, or else the nearest to its limit. */
function worstOf(checks: Check[]): Check {
  const share = ({measured, limit}: Check) => (limit === 0 ? measured : measured / limit);
  return (
    checks.find(({passed}) => !passed) ??
    checks.reduce((worst, check) => (share(check) > share(worst) ? check : worst))
  );
}

function timesOf({
  model,
  batchSize,
  imageShape,
  rounds,
  milliseconds,
}: NonNullable<WayReport['stepTimes']>): string {
  const {res, builtin, none} = milliseconds;
  const table = new Table({
    head: ['norm', 'ms a step', 'times none'],
    colAligns: ['left', 'right', 'right'],
    style: {compact: true, border: [], head: []},
  });
  for (const [name, time] of [
    ['ResBatchNorm', res],
    ['tf.layers.batchNormalization', builtin],
    ['none', none],
  ] as const) {
    table.push([name, time.toFixed(1), (time / none).toFixed(2)]);
  }
  const what = `${model}, batch ${batchSize} of ${imageShape.join('×')}`;
  return `A training step of ${what}, medians of ${rounds}:\n${table.toString()}`;
}

/** Three significant digits: 4200, 0.123, 1.23e-7. */
function number(value: number): string {
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) < 1e-2 ? value.toExponential(1) : value.toPrecision(3);
}
