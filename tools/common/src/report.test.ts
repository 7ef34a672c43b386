import {Progress, sampleOf, toJson} from './report.js';

describe('Progress', () => {
  function written(isTTY: boolean): {text: string[]; progress: Progress} {
    const text: string[] = [];
    const write = (part: string) => text.push(part) > 0;
    return {text, progress: new Progress({isTTY, write} as never)};
  }

  it('is one line of a terminal, and gone at the end', () => {
    const {text, progress} = written(true);
    progress.show('one');
    progress.show('two');
    progress.clear();
    expect(text.join('')).toBe('\r\x1b[Kone\r\x1b[Ktwo\r\x1b[K');
  });

  it('does not flood a log', () => {
    const {text, progress} = written(false);
    for (let i = 0; i < 1000; i++) progress.show(`step ${i}`);
    progress.clear();
    expect(text).toEqual(['step 0\n']);
  });
});

describe('sampleOf', () => {
  it('has the median and the quartiles of values in any order', () => {
    expect(sampleOf([5, 1, 4, 2, 3])).toEqual({
      median: 3,
      lowerQuartile: 2,
      upperQuartile: 4,
      least: 1,
      repetitions: 5,
    });
  });

  it('goes between two values', () => {
    const {median, lowerQuartile, upperQuartile} = sampleOf([1, 2, 10, 20]);
    expect([lowerQuartile, median, upperQuartile]).toEqual([1.75, 6, 12.5]);
  });

  it.each([
    [[3], 3],
    [[10, 9, 100], 10],
    [[4, 1, 3, 2], 2.5],
  ])('the median of %j is %d', (values, expected) => {
    const given = [...values];
    expect(sampleOf(given).median).toBe(expected);
    expect(given).toEqual(values);
  });
});

describe('toJson', () => {
  it('writes what JSON has no number for as a string', () => {
    const text = toJson({values: [NaN, -Infinity, 0.5]});
    expect(JSON.parse(text)).toEqual({values: ['NaN', '-Infinity', 0.5]});
  });
});
