import type {PhaseGapReport} from '@resbatchnorm/callbacks';
import Table from 'cli-table3';

import {duration, percent} from './format.js';

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
