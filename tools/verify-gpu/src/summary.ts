/** The report in short: what all APIs add up to, the exit code, and a table for each. */
import {normTitles} from '@resbatchnorm/resnet';
import {makeTable} from '@resbatchnorm/tools-common/report';

import {type ApiReport, apiTitles, type Check, type Report} from './report.js';

export const exitCodes = {passed: 0, failed: 1, usage: 2, noGpu: 3, softwareOnly: 4};

/**
 * An API that is absent is not a fault as long as another one ran, unless it was asked for by
 * its name.
 */
export function verdictOf(apis: ApiReport[]): Report['verdict'] {
  const ran = apis.filter(({outcome}) => outcome !== 'absent');
  const lines = apis.map(describe);
  if (ran.length === 0) lines.push('No GPU was found: nothing was verified.');
  const ranOnSoftware = ran.some(isSoftware);
  if (ranOnSoftware) {
    lines.push('A software device is not a GPU: this was a dry run of the verification.');
  }
  return {
    passed: ran.length > 0 && ran.every(({outcome}) => outcome === 'passed'),
    ranOnGpu: ran.length > 0 && !ranOnSoftware,
    lines,
  };
}

export function exitCodeOf({verdict, apis}: Pick<Report, 'verdict' | 'apis'>): number {
  if (apis.every(({outcome}) => outcome === 'absent')) return exitCodes.noGpu;
  if (!verdict.passed) return exitCodes.failed;
  return verdict.ranOnGpu ? exitCodes.passed : exitCodes.softwareOnly;
}

function describe(report: ApiReport): string {
  const {api, outcome, problem, checks} = report;
  const title = `${apiTitles[api]}${isSoftware(report) ? ', NOT A GPU' : ''}`;
  const failed = checks.filter(({passed}) => !passed).length;
  switch (outcome) {
    case 'absent':
      return `${title}: absent. ${problem}`;
    case 'passed':
      return `${title}: all ${checks.length} checks passed.`;
    case 'failed':
      return [
        `${title}: failed.`,
        ...(problem ? [problem] : []),
        ...(failed > 0 ? [`${failed} of ${checks.length} checks failed.`] : []),
      ].join(' ');
  }
}

function isSoftware({device}: ApiReport): boolean {
  return device?.isSoftware ?? false;
}

export function reportTable({apis, verdict}: Pick<Report, 'apis' | 'verdict'>): string {
  const ran = apis.filter(({outcome}) => outcome !== 'absent');
  return [...ran.map(apiTable), verdict.lines.join('\n')].join('\n\n');
}

function apiTable(report: ApiReport): string {
  const head = ['check', 'passed', 'worst', 'limit', 'where'];
  const table = makeTable(head, {leftColumns: [0, 4]});
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

function heading({api, device}: ApiReport): string {
  if (!device) return apiTitles[api];
  const versions = Object.entries(device.versions).map(
    ([name, version]) => `${name} ${version}`,
  );
  return [
    `${apiTitles[api]}: ${device.name}`,
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
}: NonNullable<ApiReport['stepTimes']>): string {
  const {res, builtin, none} = milliseconds;
  const table = makeTable(['norm', 'ms a step', 'times none'], {leftColumns: [0]});
  for (const [name, time] of [
    [normTitles.res, res],
    [normTitles.builtin, builtin],
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
