import {type Summary, summaryTable} from './summary.js';

const summary: Summary = {
  trainingAccuracy: 0.991,
  testAccuracy: 0.985,
  norms: {
    testAccuracyWithInitialStatistics: 0.1,
    updates: {layers: 9, steps: 399, updates: 3591},
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
      ['update check', '9 layers × 399 steps = 3,591 updates run'],
      ['saved to and reloaded from', 'out/model.json'],
      ["reloaded model's predictions", 'largest difference 0'],
      ['training time', '1:40'],
    ]);
  });

  it('says so where updates are missing', () => {
    const updates = {layers: 9, steps: 399, updates: 3590};
    const norms = {...summary.norms!, updates};
    expect(rows({...summary, norms})[3][1]).toBe(
      '9 layers × 399 steps, but 3,590 updates run',
    );
  });

  it('leaves the norms out where there are none', () => {
    const labels = rows({...summary, norms: undefined}).map(([label]) => label);
    expect(labels).toContain('test accuracy');
    expect(labels.join()).not.toMatch(/statistics|update/);
  });
});
