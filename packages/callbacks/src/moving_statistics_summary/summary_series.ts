/** Collects summaries for the charts of tfjs-vis. */
import {describe, ValueError} from '@resbatchnorm/layer/introspection';

import type {Histogram, Summary, SummaryWriter} from './summary.js';

type Run = Summary['run'];

/** What `tfvis.render.linechart` takes. */
export interface LineChartData {
  values: {x: number; y: number}[][];
  series: string[];
}

/** What `tfvis.render.barchart` takes. */
export type BarChartData = {index: number; value: number}[];

/**
 * Takes the summaries of `MovingStatisticsSummary` where there are no files, as in a browser,
 * and gives them in the form of tfjs-vis:
 *
 *     const series = new SummarySeries();
 *     await model.fit(x, y, {callbacks: [new MovingStatisticsSummary({writer: series})]});
 *     tfvis.render.linechart(surface, series.lineChart('epoch_loss'));
 *     tfvis.render.barchart(surface, series.barChart('bn_1/moving_mean'));
 *
 * It grows with the training, by some 40 kB a due step for a model of 20 layers.
 */
export class SummarySeries implements SummaryWriter {
  private readonly summaries: Summary[] = [];

  write(summaries: readonly Summary[]): void {
    this.summaries.push(...summaries);
  }

  /** The tags of all scalars, in the order in which they appeared. */
  get scalarTags(): string[] {
    return this.tagsOf('scalars');
  }

  /** The tags of all histograms: the names of the weights. */
  get histogramTags(): string[] {
    return this.tagsOf('histograms');
  }

  /**
   * The curves of scalars over the steps, for `tfvis.render.linechart`: one for each tag and
   * run, the one of the validation data named `epoch_loss (validation)`.
   *
   * @throws ValueError if there is no scalar with such a tag.
   */
  lineChart(...tags: string[]): LineChartData {
    const chart: LineChartData = {values: [], series: []};
    for (const tag of tags) {
      for (const run of this.runsOf(tag)) {
        chart.values.push(
          this.with('scalars', tag)
            .filter(summary => summary.run === run)
            .map(({step, scalars}) => ({x: step, y: scalars[tag]})),
        );
        chart.series.push(run === 'train' ? tag : `${tag} (${run})`);
      }
    }
    return chart;
  }

  /**
   * A histogram, for `tfvis.render.barchart`: the middle and the count of each bucket.
   *
   * @param step That of the histogram; default the last one.
   * @throws ValueError if there is none with the tag, or of the step.
   */
  barChart(tag: string, step?: number): BarChartData {
    const {edges, counts} = this.histogram(tag, step);
    return counts.map((value, i) => ({index: (edges[i] + edges[i + 1]) / 2, value}));
  }

  private histogram(tag: string, step?: number): Histogram {
    const found = this.with('histograms', tag);
    const summary = step === undefined ? found.at(-1) : found.find(s => s.step === step);
    if (summary !== undefined) return summary.histograms[tag];
    const steps = found.map(s => s.step).join(', ');
    throw new ValueError(
      `SummarySeries.barChart: argument 'step' must be one of ${steps}. ` +
        `Received: ${describe(step)}`,
    );
  }

  private runsOf(tag: string): Set<Run> {
    return new Set(this.with('scalars', tag).map(({run}) => run));
  }

  private with(kind: 'scalars' | 'histograms', tag: string): Summary[] {
    const found = this.summaries.filter(summary => Object.hasOwn(summary[kind], tag));
    if (found.length > 0) return found;
    throw new ValueError(
      `SummarySeries: there must be ${kind} with the tag. There are: ` +
        `${this.tagsOf(kind).join(', ') || 'none'}. Received: ${describe(tag)}`,
    );
  }

  private tagsOf(kind: 'scalars' | 'histograms'): string[] {
    return [...new Set(this.summaries.flatMap(summary => Object.keys(summary[kind])))];
  }
}
