/** Replicas that are killed at random moments: nothing hangs, and what was saved is whole. */
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

import {describeOneMpi, runUnderMpi} from '../test/mpi_replicas';
import {bundle, runAlone} from '../test/programs';

/** `DISTRIBUTED_KILLS=100` for more; each takes some seconds. */
const kills = Number(process.env.DISTRIBUTED_KILLS ?? 4);

const {program, folder} = bundle('training_program.ts');
const files = mkdtempSync(join(tmpdir(), 'killed-'));
afterAll(() => [folder, files].forEach(path => rmSync(path, {recursive: true})));

describeOneMpi((mpi, mpirun) => {
  it(
    `${kills} kills end the others, and every checkpoint loads`,
    async () => {
      let laterSteps = 0;
      for (let i = 0; i < kills; ++i) {
        const checkpoints = join(files, `${i}`);
        // From before the first step on.
        const seconds = 3 * Math.random();
        const args = ['trains without end', checkpoints, `${i % 2}`, seconds.toFixed(3)];
        const {code} = await runUnderMpi(mpi, mpirun, program, args, 2);
        expect(code).not.toBe(0);
        const {step} = JSON.parse(runAlone(program, ['loads a checkpoint', checkpoints]));
        expect(step).toBeGreaterThanOrEqual(0);
        if (step > 0) ++laterSteps;
      }
      // Otherwise the kills came too early to prove anything.
      expect(laterSteps).toBeGreaterThan(0);
    },
    60_000 + kills * 30_000,
  );
});
