/** Several processes on this machine. */
import {rmSync} from 'node:fs';

import {expectedValues} from '../../test/engine_values';
import {bundle} from '../../test/programs';
import {type Ended, runReplicas} from '../../test/tensorflow_replicas';

const {program, folder} = bundle('engine_program.ts');
afterAll(() => rmSync(folder, {recursive: true}));

const inCall = 'step 3, moments of bn_1, gather of 129 values';

function expectFailure({code, signal, stderr}: Ended, message: string): void {
  expect({signal, stderr}).toEqual({
    signal: null,
    stderr: expect.stringContaining(message),
  });
  expect(code).toBe(1);
}

it.each([1, 2, 4])('gives the right values to %d replicas', async size => {
  const ends = await runReplicas(program, ['gives values'], size);
  const values = expectedValues(size, /^TensorFlow \d/);
  expect(
    ends.map(({stdout, stderr, code}) => ({code, stderr, ...JSON.parse(stdout)})),
  ).toEqual(values.map(one => ({code: 0, stderr: '', ...one})));
});

it('holds no more memory after more calls', async () => {
  const ends = await runReplicas(program, ['makes many calls'], 2);
  for (const {stdout} of ends) {
    const {grownMb, leakedTensors} = JSON.parse(stdout);
    expect(leakedTensors).toBe(0);
    // 6,000 collectives that held 17 kB each would be 100 MB.
    expect(grownMb).toBeLessThan(30);
  }
});

it('ends without close, as long as all do', async () => {
  const ends = await runReplicas(program, ['ends without close'], 2);
  expect(ends.map(({code, stderr}) => ({code, stderr}))).toEqual([
    {code: 0, stderr: ''},
    {code: 0, stderr: ''},
  ]);
});

describe('a replica', () => {
  it.each(['is killed', 'throws', 'exits with 1'])(
    'that %s ends the others',
    async what => {
      const [first, second, last] = await runReplicas(program, [what], 3);
      const reason =
        what === 'is killed'
          ? 'no answer from rank 2 (127.0.0.1:'
          : 'ended with rank 2, after step 2, gradients, sum of 1000 values in 1 tensors: ' +
            'ended by an error';
      expectFailure(first, `DistributedError: Rank 0, ${inCall}: `);
      expectFailure(second, `DistributedError: Rank 1, ${inCall}: `);
      // The one beside it sees it; the other may hear of it from that one.
      for (const {stderr} of [first, second]) expect(stderr).toContain(reason);
      expect(last.code).toBe(what === 'is killed' ? null : 1);
      expect(last.stderr).toContain(what === 'throws' ? 'a bug' : '');
    },
  );

  it('that exits with 0 too early ends with 1, and ends the others', async () => {
    const [first, last] = await runReplicas(program, ['exits with 0'], 2);
    expectFailure(
      first,
      `Rank 0, ${inCall}: rank 1 makes another call: end of the training.`,
    );
    expectFailure(
      last,
      `Rank 1, end of the training: rank 0 makes another call: ${inCall}.`,
    );
  });

  it.each([
    ['skips a call', 'step 3, gradients, sum of 1000 values in 1 tensors'],
    ['has another name', 'step 3, moments of bn_2, gather of 129 values'],
    ['has another length', 'step 3, moments of bn_1, gather of 65 values'],
  ])('that %s is told so, as are the others', async (what, call) => {
    const ends = await runReplicas(program, [what], 3);
    expectFailure(ends[0], `Rank 0, ${inCall}: rank 2 makes another call: ${call}.`);
    expectFailure(ends[1], `Rank 1, ${inCall}: rank 2 makes another call: ${call}.`);
    expectFailure(ends[2], `Rank 2, ${call}: rank 0, 1 makes another call: ${inCall}.`);
  });

  it('that has other gradients is told so', async () => {
    const ends = await runReplicas(program, ['has other gradients'], 2);
    expectFailure(
      ends[0],
      'Rank 0, step 3, gradients, sum of 1000 values in 1 tensors: rank 1 makes another ' +
        'call: step 3, gradients, sum of 999 values in 1 tensors.',
    );
    expect(ends[1].code).toBe(1);
  });

  it('that catches the error ends with 1 all the same', async () => {
    const ends = await runReplicas(program, ['catches its error'], 2);
    expect(ends.map(({code}) => code)).toEqual([1, 1]);
  });

  it('that freezes ends the others in time', async () => {
    const ends = await runReplicas(program, ['freezes', '3'], 3, {frozen: [2]});
    for (const rank of [0, 1]) {
      expectFailure(ends[rank], `Rank ${rank}, ${inCall}: `);
      expect(ends[rank].stderr).toMatch(
        /no answer from rank 2 \(127.0.0.1:\d+\) within 3 s/,
      );
    }
    expect(ends[2].signal).toBe('SIGKILL');
  });

  it('that makes no call ends the others in time, and finds them gone', async () => {
    const ends = await runReplicas(program, ['makes no call', '3'], 2);
    expectFailure(
      ends[0],
      `Rank 0, ${inCall}: rank 1 runs, but makes no call within 3 s.`,
    );
    expectFailure(ends[1], `Rank 1, ${inCall}: no answer from rank 0 (127.0.0.1:`);
  });

  it.each([0, 1])(
    'that never starts ends the others in time, be it rank %d',
    async rank => {
      const [end] = await runReplicas(program, ['', '3'], 2, {missing: [rank]});
      expectFailure(
        end,
        `Rank ${1 - rank}, step 1, moments of bn_1, gather of 129 values: ` +
          `no answer from rank ${rank} (127.0.0.1:`,
      );
      expect(end.stderr).toContain('within 3 s.');
    },
  );
});

it('refuses calls after close', async () => {
  const ends = await runReplicas(program, ['calls after close'], 2);
  for (const end of ends) {
    expectFailure(
      end,
      'step 1, more, gather of 1 values: the replicas are no longer connected.',
    );
  }
});

it('refuses to connect after TensorFlow was loaded', async () => {
  const [end] = await runReplicas(program, ['loads TensorFlow first'], 1);
  expectFailure(end, 'TensorFlow is loaded already: connect() comes before everything');
});
