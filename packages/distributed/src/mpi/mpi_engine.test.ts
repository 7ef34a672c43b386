/** Several processes on this machine, started by the mpirun of each MPI that is installed. */
import {rmSync} from 'node:fs';

import {expectedValues} from '../../test/engine_values';
import {describeEachMpi, type MpiEnded, runUnderMpi} from '../../test/mpi_replicas';
import {bundle} from '../../test/programs';

const {program, folder} = bundle('engine_program.ts');
afterAll(() => rmSync(folder, {recursive: true}));

const inCall = 'step 3, moments of bn_1, gather of 129 values';

describeEachMpi((mpi, mpirun) => {
  const run = (args: string[], size: number) =>
    runUnderMpi(mpi, mpirun, program, args, size);

  function expectFailure({code, stderr}: MpiEnded, ...messages: RegExp[]): void {
    for (const message of messages) expect(stderr).toMatch(message);
    expect(code).not.toBe(0);
  }

  it.each([1, 2, 3, 4])('gives the right values to %d replicas', async size => {
    const {code, stdout, stderr} = await run(['gives values'], size);
    expect({code, stderr}).toEqual({code: 0, stderr: ''});
    const results = stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line));
    expect(results.sort((a, b) => a.rank - b.rank)).toEqual(
      expectedValues(size, new RegExp(`^${mpi.name} \\d+\\.\\d+`)),
    );
  });

  it('holds no more memory after more calls', async () => {
    const {stdout} = await run(['makes many calls', '60', '10000'], 2);
    for (const line of stdout.trim().split('\n')) {
      const {grownMb, leakedTensors} = JSON.parse(line);
      expect(leakedTensors).toBe(0);
      expect(grownMb).toBeLessThan(10);
    }
  });

  it.each(['ends without close', 'is late'])('a replica that %s is fine', async what => {
    const {code, stderr} = await run([what], 2);
    expect({code, stderr}).toEqual({code: 0, stderr: ''});
  });

  it.each([
    // mpirun says it, and MPICH's where programs write their results.
    ['is killed', /^/],
    ['throws', /Rank 2 ended by an error: Error: a bug/],
    ['exits with 1', /^/],
  ])('a replica that %s ends the others', async (what, message) => {
    expectFailure(await run([what], 3), message);
  });

  // Which other call it is, the engine finds out the same way on each.
  if (mpi.name !== 'OpenMPI') return;

  it('a replica that exits with 0 too early ends all, which say so', async () => {
    expectFailure(
      await run(['exits with 0'], 2),
      /Rank 0, step 3, moments of bn_1, .*: rank 1 makes another call: end of the training\./,
    );
  });

  it.each([
    ['skips a call', 'step 3, gradients, sum of 1000 values in 1 tensors'],
    ['has another name', 'step 3, moments of bn_2, gather of 129 values'],
    ['has another length', 'step 3, moments of bn_1, gather of 65 values'],
  ])('a replica that %s ends all, which say so', async (what, call) => {
    expectFailure(
      await run([what], 3),
      new RegExp(`Rank 0, ${inCall}: rank 2 makes another call: ${call}\\.`),
    );
  });

  it('a replica that has other gradients ends all, which say so', async () => {
    expectFailure(
      await run(['has other gradients'], 2),
      /Rank 0, step 3, gradients, sum of 1000 .*: rank 1 makes another call: .* of 999 values/,
    );
  });

  it('a replica that catches the error ends all the same', async () => {
    expectFailure(await run(['catches its error'], 2));
  });

  it.each(['exits before', 'freezes before'])(
    'a replica that %s it has connected ends all in time',
    async what => {
      expectFailure(
        await run([what, '5'], 2),
        /Rank 0, connect: not all 2 replicas have come in 5 s\./,
      );
    },
  );

  it.each(['freezes', 'makes no call'])(
    'a replica that %s ends all in time',
    async what => {
      expectFailure(
        await run([what, '3'], 3),
        new RegExp(`Rank 0, ${inCall}: no answer from rank 2 in 3 s\\.`),
      );
    },
  );

  it('refuses calls after close', async () => {
    expectFailure(
      await run(['calls after close'], 2),
      /step 1, more, gather of 1 values: the replicas are no longer connected\./,
    );
  });
});
