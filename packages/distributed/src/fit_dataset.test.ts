/** Trainings of several processes, started by the mpirun of each MPI that is installed. */
import {mkdtempSync, rmSync} from 'node:fs';
import {availableParallelism, tmpdir} from 'node:os';
import {join} from 'node:path';

import {describeOneMpi, type MpiEnded, runUnderMpi} from '../test/mpi_replicas';
import {bundle, runAlone} from '../test/programs';
import {runReplicas} from '../test/tensorflow_replicas';

const {program, folder} = bundle('training_program.ts');
const files = mkdtempSync(join(tmpdir(), 'replicas-'));
const alone = join(files, 'alone.json');
beforeAll(() => runAlone(program, ['ten steps', alone]));
afterAll(() => [folder, files].forEach(path => rmSync(path, {recursive: true})));

type Line = Record<string, unknown> & {rank: number};

/** What each replica printed, by rank. */
function linesOf(stdout: string): Line[] {
  const lines = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Line);
  return lines.sort((a, b) => a.rank - b.rank);
}

/** That each replica prints so, and all the same. */
function expectSame(lines: Line[], expected: object): void {
  expect(lines).toEqual(lines.map((_, rank) => ({...expected, rank})));
  const [first] = lines;
  expect(lines).toEqual(lines.map((_, rank) => ({...first, rank})));
}

interface Differences {
  losses: number;
  accuracies: number;
  history: number;
  weights: number;
  hash: string;
}

/** 10 steps, the last of 3 examples, whatever part of them each has. */
function expectEqualToAlone(lines: Line[]): void {
  for (const {results} of lines as (Line & {results: Record<string, Differences>})[]) {
    expect(Object.keys(results)).toHaveLength(8);
    for (const [name, {losses, accuracies, history, weights}] of Object.entries(
      results,
    )) {
      const largest = Math.max(losses, accuracies, history, weights);
      expect({name, isEqual: largest < 1e-6, largest}).toEqual({
        name,
        isEqual: true,
        largest,
      });
    }
  }
  expectSame(lines, {results: lines[0].results});
}

function expectOwnLoop(lines: Line[]): void {
  expect(lines).toEqual(
    [3, 2].map((examples, rank) => ({
      rank,
      threads:
        process.env.TF_NUM_INTEROP_THREADS ??
        String(Math.max(1, Math.floor(availableParallelism() / 2))),
      isSame: true,
      examples,
      leaked: 0,
      difference: expect.any(Number),
      inStep: expect.stringMatching('Received: a step in a step'),
      outside: expect.stringMatching('Received: gradients outside of a step'),
      negative: expect.stringMatching('Received: -1'),
      unequal: expect.stringMatching('Received: tensors of 5 and 4 examples'),
    })),
  );
  for (const {difference} of lines) expect(difference).toBeLessThan(1e-6);
}

describeOneMpi((mpi, mpirun) => {
  const runAll = (args: string[], size: number) =>
    runUnderMpi(mpi, mpirun, program, args, size);
  const run = async (args: string[], size = 2) => {
    const {code, stdout, stderr} = await runAll(args, size);
    expect({code, stderr}).toEqual({code: 0, stderr: ''});
    return linesOf(stdout);
  };

  it.each([2, 4])('%d replicas equal one process on the whole batch', async size => {
    expectEqualToAlone(await run(['ten steps', alone], size));
  });

  it('logs are of all; what is for the chief runs there alone', async () => {
    const lines = await run(['callbacks']);
    const called = (names: string[]) =>
      [0, 1].flatMap(epoch =>
        names.map(name => `${name} ${epoch} acc,loss,val_acc,val_loss`),
      );
    const everywhere = ['object', 'instance'];
    const onChief = [...everywhere, 'on the chief', 'instance on the chief'];
    expect(lines.map(({calls}) => calls)).toEqual([called(onChief), called(everywhere)]);
    const same = lines.map(({rank, validationIsOfTheEnd, hash}) => ({
      rank,
      validationIsOfTheEnd,
      hash,
    }));
    expectSame(same, {validationIsOfTheEnd: true, hash: lines[0].hash});
  });

  it('one that stops, stops all: [epochs, steps]', async () => {
    expectSame(await run(['stops']), {
      inEpoch: [1, 3],
      lastBatch: [1, 4],
      epochEnd: [2, 8],
    });
  });

  it('all get the weights and the optimizer of the chief, to the bit', async () => {
    const lines = await run(['state']);
    const hashes = lines[0].hashes as string[];
    expect(hashes).toHaveLength(14);
    const once = hashes.filter((_, i) => i % 2 === 0);
    expectSame(lines, {hashes: once.flatMap(hash => [hash, hash])});
  });

  it('goes on from a checkpoint, with another number of replicas too', async () => {
    const checkpoints = join(files, mpi.name);
    await run(['first epoch', checkpoints], 2);
    for (const size of [2, 3]) {
      const lines = await run(['second epoch', checkpoints], size);
      for (const {differences} of lines as unknown as {differences: number[]}[]) {
        expect(Math.max(...differences)).toBeLessThan(1e-6);
      }
      expect(new Set(lines.map(({hash}) => hash)).size).toBe(1);
    }
  });

  it('UpdateOpsCheck names layer, statistic and replica that differ', async () => {
    const message = expect.stringContaining('moving_mean of replica 1 is not that of');
    expectSame(await run(['checksums']), {healthy: 0, found: [['bn_2', message]]});
  });

  it('what must be the same is compared first', async () => {
    const lines = await run(['differences']);
    const differs = (what: string, rank: number, own = '') =>
      expect.stringMatching(
        `DistributedError: Rank ${rank}: ${what}.* must be the same on all replicas. ` +
          `Received: on rank 1 other than on rank 0${own}`,
      );
    expect(lines).toEqual(
      lines.map((_, rank) => ({
        rank,
        data: differs('the first batch of epoch 1', rank),
        model: differs('the model', rank),
        optimizer: differs('the optimizer', rank, `; on rank ${rank} .*0.${rank + 1}`),
        epochs: differs('epochs', rank, `; on rank ${rank} ${rank + 2}`),
        notCompiled: expect.stringMatching('must be a compiled model. Received: undef'),
        noEpochs: expect.stringMatching('epochs must be an integer from 1. Received: 0'),
        noDataset: expect.stringMatching('dataset must be a dataset. Received: null'),
      })),
    );
  });

  it('a loop of the user’s own', async () => expectOwnLoop(await run(['own loop'])));

  it('leaves no tensor behind', async () => {
    expectSame(await run(['memory']), {leaked: 0});
  });

  function expectFailure({code, stderr}: MpiEnded, message: RegExp): void {
    expect(stderr).toMatch(message);
    expect(code).not.toBe(0);
  }

  it.each([
    ['changes the learning rate', /learning rate 0.1, .*: rank 1 .* rate 0.5, /],
    ['throws in a callback', /Rank 1 ended by an error:\s+Error: a bug/],
    ['has fewer batches', /of 32 examples, .*: rank 1 makes another call: .* 3 examples/],
  ])('a replica that %s ends all', async (what, message) => {
    expectFailure(await runAll([what], 2), message);
  });
});

describe("over TensorFlow's collective ops", () => {
  const run = async (args: string[], size: number) => {
    const ends = await runReplicas(program, args, size);
    for (const {code, stderr} of ends)
      expect({code, stderr}).toEqual({code: 0, stderr: ''});
    return linesOf(ends.map(({stdout}) => stdout).join(''));
  };

  it.each([2, 4])('%d replicas equal one process on the whole batch', async size => {
    expectEqualToAlone(await run(['ten steps', alone], size));
  });

  it('a loop of the user’s own', async () => {
    expectOwnLoop(await run(['own loop'], 2));
  });
});
