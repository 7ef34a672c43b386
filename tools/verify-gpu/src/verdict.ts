/** What the ways found add up to, in one line each, and the exit code. */
import {type Report, type WayReport, wayTitles} from './report.js';

export const exitCodes = {passed: 0, failed: 1, usage: 2, noGpu: 3, softwareOnly: 4};

/**
 * A way that is absent is no fault as long as another one ran, unless it was asked for by
 * its name.
 */
export function verdictOf(ways: WayReport[]): Report['verdict'] {
  const ran = ways.filter(({outcome}) => outcome !== 'absent');
  const lines = ways.map(describe);
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

export function exitCodeOf({verdict, ways}: Pick<Report, 'verdict' | 'ways'>): number {
  if (ways.every(({outcome}) => outcome === 'absent')) return exitCodes.noGpu;
  if (!verdict.passed) return exitCodes.failed;
  return verdict.ranOnGpu ? exitCodes.passed : exitCodes.softwareOnly;
}

function describe(report: WayReport): string {
  const {way, outcome, problem, checks} = report;
  const title = `${wayTitles[way]}${isSoftware(report) ? ', NOT A GPU' : ''}`;
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

function isSoftware({device}: WayReport): boolean {
  return device?.isSoftware ?? false;
}
