import {UsageError} from '@resbatchnorm/tools-common/command_line';

import {parseOptions} from './options.js';

const parse = (line: string) => parseOptions(line.split(' ').filter(word => word !== ''));

function errorOf(line: string): string {
  try {
    parse(line);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as Error).message;
  }
  throw new Error(`'${line}' was accepted`);
}

describe('parseOptions', () => {
  it('has a default for everything', () => {
    expect(parse('')).toEqual({
      dataset: 'digits',
      depth: 8,
      norm: 'res',
      epochs: 3,
      batchSize: 32,
      learningRate: 0.1,
      backend: 'auto',
      seed: 1,
      out: 'out',
      resume: false,
      checkGap: false,
    });
  });

  it('has defaults that depend on the dataset and the norm', () => {
    expect(parse('--dataset cifar10 --data x')).toMatchObject({epochs: 60});
    expect(parse('--norm none')).toMatchObject({learningRate: 0.01});
    expect(parse('--norm none --learning-rate 0.2')).toMatchObject({learningRate: 0.2});
  });

  it('reads every option', () => {
    expect(
      parse(
        '--dataset cifar10 --data d --depth 20 --norm builtin --epochs 2 --batch-size 32 ' +
          '--learning-rate 0.05 --limit 10 --backend cpu --seed 9 --out o ' +
          '--tensorboard t --checkpoint c --resume --check-gap',
      ),
    ).toEqual({
      dataset: 'cifar10',
      data: 'd',
      depth: 20,
      norm: 'builtin',
      epochs: 2,
      batchSize: 32,
      learningRate: 0.05,
      limit: 10,
      backend: 'cpu',
      seed: 9,
      out: 'o',
      tensorboard: 't',
      checkpoint: 'c',
      resume: true,
      checkGap: true,
    });
  });

  it.each([8, 14, 20, 32, 44, 56, 110, 1202])('takes depth %d', depth => {
    expect(parse(`--depth ${depth}`)).toMatchObject({depth});
  });

  it.each(['2', '9', '-8', '8.0', '1208', 'deep', '0x8'])('rejects depth %s', depth => {
    expect(errorOf(`--depth ${depth}`)).toMatch(/--depth.*6n\+2: 8, 14, 20/);
  });

  it.each([
    ['--epochs 0', /--epochs.*'0'.*whole number from 1/],
    ['--epochs 1.5', /--epochs.*'1\.5'.*whole number/],
    ['--batch-size many', /--batch-size.*'many'.*whole number/],
    ['--limit -1', /--limit.*'-1'.*whole number/],
    ['--seed 1e3', /--seed.*'1e3'.*whole number from 0/],
    ['--learning-rate 0', /--learning-rate.*'0'.*above 0/],
    ['--learning-rate Infinity', /--learning-rate.*'Infinity'.*above 0/],
    ['--norm batch', /--norm.*'batch'.*res, builtin, none/],
    ['--backend gpu', /--backend.*'gpu'.*auto, cpu, wasm, tensorflow/],
    ['--dataset mnist', /--dataset.*'mnist'.*digits, cifar10/],
    ['--dataset cifar10', /--dataset cifar10 needs --data/],
    ['--data d', /--data is for --dataset cifar10 only/],
    ['--depht 8', /unknown option '--depht' \(Did you mean --depth\?\)/],
    ['--depth', /--depth.*argument missing/],
    ['train', /unexpected argument 'train'/],
  ])('rejects %s in one line', (line, message) => {
    expect(errorOf(line)).toMatch(message);
    expect(errorOf(line)).not.toContain('\n');
  });

  it('rejects an empty --out', () => {
    expect(() => parseOptions(['--out', ''])).toThrow(/--out.*Expected a path/);
  });
});
