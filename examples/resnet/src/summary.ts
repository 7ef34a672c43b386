/** What a run shows: its results in a table, and numbers as people write them. */
import type {PhaseGapReport} from '@resbatchnorm/callbacks';
import Table from 'cli-table3';

export interface Summary {
  /**
   * In the last epoch, with the batches' own statistics; not known if the training that was
   * resumed had been through its last epoch.
   */
  trainingAccuracy?: number;
  testAccuracy: number;
  /** Only where the model has norm layers. */
  norms?: {
    testAccuracyWithInitialStatistics: number;
    /** UpdateOpsCheck's. */
    updates: string;
    /** Of the last epoch, if it was asked for. */
    phaseGap?: PhaseGapReport;
  };
  modelFile: string;
  /** Between the predictions of the model and of the model loaded from disk. */
  largestDifference: number;
  trainingSeconds: number;
  /** How many there were and what joined them, if there were several. */
  replicas?: string;
}

export function summaryTable(summary: Summary): string {
  const {norms} = summary;
  const table = new Table({style: {compact: true, border: []}});
  const {trainingAccuracy} = summary;
  if (trainingAccuracy !== undefined) {
    table.push(['training accuracy, last epoch', percent(trainingAccuracy)]);
  }
  if (norms) {
    table.push(
      ['test accuracy, with the moving statistics', percent(summary.testAccuracy)],
      [
        'test accuracy, with the initial statistics',
        `${percent(norms.testAccuracyWithInitialStatistics)}  (had they not been saved)`,
      ],
      ['update check', norms.updates],
    );
    if (norms.phaseGap) table.push(['training → inference mode', gap(norms.phaseGap)]);
  } else {
    table.push(['test accuracy', percent(summary.testAccuracy)]);
  }
  if (summary.replicas) table.push(['replicas', summary.replicas]);
  table.push(
    ['saved to and reloaded from', summary.modelFile],
    ["reloaded model's predictions", `largest difference ${summary.largestDifference}`],
    ['training time', duration(summary.trainingSeconds)],
  );
  return table.toString();
}

/** The same images in both modes. */
function gap({training, inference, examples}: PhaseGapReport): string {
  const accuracies = [training, inference].map(({acc}) => percent(acc));
  const losses = [training, inference].map(({loss}) => loss.toFixed(4));
  return `accuracy ${accuracies.join(' → ')}, loss ${losses.join(' → ')} (${examples} images)`;
}

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
