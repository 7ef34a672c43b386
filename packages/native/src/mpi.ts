/** MPI: who started this process, and the library that belongs to it. Starts nothing itself. */
import {existsSync, readFileSync, readlinkSync, realpathSync} from 'node:fs';
import {delimiter, dirname, join} from 'node:path';

import {runProcess} from './run_process.js';

/** MPICH's family includes Intel MPI: one binary interface, another than OpenMPI's. */
export type MpiFamily = 'OpenMPI' | 'MPICH';

/** What a launcher, as mpirun, tells the processes that it starts. */
export interface MpiLaunch {
  family: MpiFamily;
  rank: number;
  size: number;
  /** How many of the processes are on this machine. */
  localSize: number;
}

/** The launch that this process is part of; undefined for a process that no launcher started. */
export function mpiLaunch(env: NodeJS.ProcessEnv = process.env): MpiLaunch | undefined {
  const [family, rank, size, localSize] =
    env.OMPI_COMM_WORLD_SIZE !== undefined
      ? ([
          'OpenMPI',
          env.OMPI_COMM_WORLD_RANK,
          env.OMPI_COMM_WORLD_SIZE,
          env.OMPI_COMM_WORLD_LOCAL_SIZE,
        ] as const)
      : (['MPICH', env.PMI_RANK, env.PMI_SIZE, env.MPI_LOCALNRANKS] as const);
  if (rank === undefined || size === undefined) return undefined;
  return {
    family,
    rank: Number(rank),
    size: Number(size),
    localSize: Number(localSize ?? size),
  };
}

/** Overrides where the library is looked for. */
export const MPI_LIBRARY_VARIABLE = 'RES_BATCH_NORM_MPI_LIBRARY';

export interface MpiLibrary {
  family: MpiFamily;
  file: string;
}

/** The names by which programs are linked to the families' libraries; the last is Debian's. */
const sonames: Record<MpiFamily, string[]> = {
  OpenMPI: ['libmpi.so.40'],
  MPICH: ['libmpi.so.12', 'libmpich.so.12'],
};

/**
 * The MPI library of the launcher of this process, otherwise of the mpirun on the PATH, otherwise
 * the system's.
 */
export function findMpiLibrary(
  env: NodeJS.ProcessEnv = process.env,
  family = mpiLaunch(env)?.family,
): MpiLibrary | undefined {
  const given = env[MPI_LIBRARY_VARIABLE];
  if (given) return {file: given, family: familyOf(given) ?? family ?? 'OpenMPI'};
  const families = family ? [family] : (Object.keys(sonames) as MpiFamily[]);
  for (const directory of libraryDirectories(env)) {
    for (const one of families) {
      const files = sonames[one].map(name => join(directory, name));
      const file = files.find(existsSync);
      if (file !== undefined) return {family: one, file};
    }
  }
  return undefined;
}

/** What there is to start programs with, and to run them on. */
export interface Mpi {
  /** The mpirun on the PATH, and what it says its version is. */
  launcher?: {file: string; version?: string};
  library?: MpiLibrary;
}

/** Asks mpirun, but starts no MPI. */
export async function findMpi(env: NodeJS.ProcessEnv = process.env): Promise<Mpi> {
  const [file] = launchersOnPath(env);
  if (file === undefined) return {library: findMpiLibrary(env)};
  const {stdout} = await runProcess(file, ['--version'], {env, timeoutMs: 10_000});
  const version = /\d+\.\d+[\w.]*/.exec(stdout)?.[0];
  const family = stdout.includes('Open MPI') ? 'OpenMPI' : 'MPICH';
  return {launcher: {file, version}, library: findMpiLibrary(env, family)};
}

function familyOf(file: string): MpiFamily | undefined {
  // `libmpi.so` alone does not tell, but what it leads to does.
  const name = existsSync(file) ? realpathSync(file) : file;
  const families = Object.keys(sonames) as MpiFamily[];
  return families.find(one => sonames[one].some(soname => name.includes(soname)));
}

function libraryDirectories(env: NodeJS.ProcessEnv): string[] {
  const prefixes = [...programsAbove(), ...launchersOnPath(env)].flatMap(file => [
    dirname(dirname(file)),
    dirname(dirname(realpathSync(file))),
  ]);
  const {I_MPI_ROOT: intel, OMPI_LIBDIR_LOC: openMpi} = env;
  return [
    ...(openMpi ? [openMpi] : []),
    ...(intel ? [join(intel, 'lib'), join(intel, 'lib', 'release')] : []),
    ...prefixes.flatMap(prefix => ['lib', 'lib64'].map(name => join(prefix, name))),
    ...(env.LD_LIBRARY_PATH ?? '').split(delimiter).filter(Boolean),
    `/usr/lib/${linuxArchitecture()}-linux-gnu`,
    '/usr/lib64',
    '/usr/lib',
    '/usr/local/lib',
  ];
}

function launchersOnPath(env: NodeJS.ProcessEnv): string[] {
  const directories = (env.PATH ?? '').split(delimiter);
  return directories.map(directory => join(directory, 'mpirun')).filter(existsSync);
}

/**
 * The programs that started this one, the nearest first, as far as the system tells: between
 * mpirun and this one there may be a shell, or npm.
 */
function programsAbove(): string[] {
  const files: string[] = [];
  try {
    for (let pid = process.ppid; pid > 1; pid = parentOf(pid)) {
      files.push(readlinkSync(`/proc/${pid}/exe`));
    }
  } catch {
    // No /proc, or not ours to read.
  }
  return files.filter(existsSync);
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

function linuxArchitecture(): string {
  return {x64: 'x86_64', arm64: 'aarch64'}[process.arch as string] ?? process.arch;
}
