import {compile, denseModel, makeBatch, resBatchNorm} from '../../test/models';
import {MovingStatisticsSummary, SummarySeries} from '..';
import type {Summary} from '..';

function summary(
  step: number,
  loss: number,
  run: Summary['run'] = 'train',
  count = 0,
): Summary {
  const histograms = {'bn/moving_mean': {edges: [0, 1, 3], counts: [1, count]}};
  return {
    run,
    step,
    wallTime: 0,
    scalars: {epoch_loss: loss},
    histograms: count > 0 ? histograms : {},
  };
}

let series: SummarySeries;

beforeEach(() => {
  series = new SummarySeries();
  series.write([summary(0, 5, 'train', 2), summary(0, 6, 'validation')]);
  series.write([summary(1, 3, 'train', 7), summary(1, 4, 'validation')]);
});

test('a line chart has a curve for each run', () => {
  expect(series.lineChart('epoch_loss')).toEqual({
    values: [
      [
        {x: 0, y: 5},
        {x: 1, y: 3},
      ],
      [
        {x: 0, y: 6},
        {x: 1, y: 4},
      ],
    ],
    series: ['epoch_loss', 'epoch_loss (validation)'],
  });
});

test('a bar chart has the middle of each bucket, of the last histogram or of a step', () => {
  expect(series.barChart('bn/moving_mean')).toEqual([
    {index: 0.5, value: 1},
    {index: 2, value: 7},
  ]);
  expect(series.barChart('bn/moving_mean', 0)[1]).toEqual({index: 2, value: 2});
});

test('a tag or a step that is not there is an error that says which are', () => {
  expect(() => series.lineChart('loss')).toThrow(
    'SummarySeries: there must be scalars with the tag. There are: epoch_loss. ' +
      'Received: "loss"',
  );
  expect(() => series.barChart('bn/moving_mean', 2)).toThrow(
    "SummarySeries.barChart: argument 'step' must be one of 0, 1. Received: 2",
  );
  expect(() => new SummarySeries().barChart('bn')).toThrow('There are: none');
});

test('it takes the summaries of a training', async () => {
  const model = compile(denseModel(resBatchNorm({name: 'bn'})));
  const {xs, ys} = makeBatch(24);
  const own = new SummarySeries();
  await model.fit(xs, ys, {
    batchSize: 8,
    verbose: 0,
    callbacks: new MovingStatisticsSummary({writer: own, everySteps: 1}),
  });
  expect(own.histogramTags).toEqual(['bn/moving_mean', 'bn/moving_variance']);
  expect(own.scalarTags).toEqual([
    'batch_loss',
    'bn/mean_distance',
    'bn/variance_distance',
    'epoch_loss',
  ]);
  const {values, series: names} = own.lineChart('bn/mean_distance', 'batch_loss');
  expect(names).toEqual(['bn/mean_distance', 'batch_loss']);
  expect(values.map(points => points.map(({x}) => x))).toEqual([
    [1, 2, 3],
    [1, 2, 3],
  ]);
  expect(own.barChart('bn/moving_variance', 2)).toHaveLength(30);
});
