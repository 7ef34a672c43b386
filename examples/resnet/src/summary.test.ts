import type {PhaseGapReport} from '@resbatchnorm/callbacks';

import {duration, integer, percent, type Summary, summaryTable} from './summary.js';

const summary: Summary = {
  trainingAccuracy: 0.991,
  testAccuracy: 0.985,
  norms: {
    testAccuracyWithInitialStatistics: 0.1,
    updates: '9 layers × 399 steps = 3,591 updates run, 0 skipped as non-finite',
  },
  modelFile: 'out/model.json',
  largestDifference: 0,
  trainingSeconds: 100,
};

/** The table's rows, without its lines. */
const rows = (of: Summary) =>
  summaryTable(of)
    .split('\n')
    .filter(line => line.startsWith('│'))
    .map(line =>
      line
        .split('│')
        .slice(1, 3)
        .map(cell => cell.trim()),
    );

describe('summaryTable', () => {
  it('has every number', () => {
    expect(rows(summary)).toEqual([
      ['training accuracy, last epoch', '99.10 %'],
      ['test accuracy, with the moving statistics', '98.50 %'],
      [
        'test accuracy, with the initial statistics',
        '10.00 %  (had they not been saved)',
      ],
      [
        'update check',
        '9 layers × 399 steps = 3,591 updates run, 0 skipped as non-finite',
      ],
      ['saved to and reloaded from', 'out/model.json'],
      ["reloaded model's predictions", 'largest difference 0'],
      ['training time', '1:40'],
    ]);
  });

  it('has the gap between the modes where it was measured', () => {
    const phaseGap = {
      examples: 512,
      training: {loss: 0.0512, acc: 0.984},
      inference: {loss: 0.0601, acc: 0.981},
    } as unknown as PhaseGapReport;
    const norms = {...summary.norms!, phaseGap};
    expect(rows({...summary, norms})[4]).toEqual([
      'training → inference mode',
      'accuracy 98.40 % → 98.10 %, loss 0.0512 → 0.0601 (512 images)',
    ]);
  });

  it('leaves the training accuracy out where no epoch was trained', () => {
    const [[label]] = rows({...summary, trainingAccuracy: undefined});
    expect(label).toBe('test accuracy, with the moving statistics');
  });

  it('leaves the norms out where there are none', () => {
    const labels = rows({...summary, norms: undefined}).map(([label]) => label);
    expect(labels).toContain('test accuracy');
    expect(labels.join()).not.toMatch(/statistics|update/);
  });
});

it('writes numbers for people', () => {
  expect(integer(1234567.4)).toBe('1,234,567');
  expect(percent(0.98765)).toBe('98.77 %');
  expect([0, 59.6, 83.4, 3725].map(duration)).toEqual([
    '0:00',
    '1:00',
    '1:23',
    '1:02:05',
  ]);
});
