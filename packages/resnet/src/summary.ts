import Table from 'cli-table3';

import {duration, integer, percent} from './format.js';

/** How often the norm layers ran their update ops. */
export interface UpdateTotals {
  layers: number;
  steps: number;
  updates: number;
}

export interface Summary {
  /** In the last epoch, with the batches' own statistics. */
  trainingAccuracy: number;
  testAccuracy: number;
  /** Only where the model has norm layers. */
  norms?: {
    testAccuracyWithInitialStatistics: number;
    updates: UpdateTotals;
  };
  modelFile: string;
  /** Between the predictions of the model and of the model loaded from disk. */
  largestDifference: number;
  trainingSeconds: number;
}

export function summaryTable(summary: Summary): string {
  const {norms} = summary;
  const table = new Table({style: {compact: true, border: []}});
  table.push(['training accuracy, last epoch', percent(summary.trainingAccuracy)]);
  if (norms) {
    table.push(
      ['test accuracy, with the moving statistics', percent(summary.testAccuracy)],
      [
        'test accuracy, with the initial statistics',
        `${percent(norms.testAccuracyWithInitialStatistics)}  (had they not been saved)`,
      ],
      ['update check', updateCheck(norms.updates)],
    );
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

function updateCheck({layers, steps, updates}: UpdateTotals): string {
  const expected = `${layers} layers × ${integer(steps)} steps`;
  return layers * steps === updates
    ? `${expected} = ${integer(updates)} updates run`
    : `${expected}, but ${integer(updates)} updates run`;
}
