/** MPI: who started this process, and the library that belongs to it. Starts nothing itself. */
import {existsSync, readlinkSync, realpathSync} from 'node:fs';
import {delimiter, dirname, join} from 'node:path';

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

/** The names by which programs are linked to the families' libraries. */
const sonames: Record<MpiFamily, string> = {
  OpenMPI: 'libmpi.so.40',
  MPICH: 'libmpi.so.12',
};

/**
 * The MPI library of the launcher of this process, otherwise of the mpirun on the PATH, otherwise
 * the system's.
 */
export function findMpiLibrary(
  env: NodeJS.ProcessEnv = process.env,
): MpiLibrary | undefined {
  const families = Object.keys(sonames) as MpiFamily[];
  const given = env[MPI_LIBRARY_VARIABLE];
  if (given !== undefined) {
    const family = families.find(name => given.includes(sonames[name]));
    return {file: given, family: family ?? mpiLaunch(env)?.family ?? 'OpenMPI'};
  }
  const launch = mpiLaunch(env);
  const candidates = launch === undefined ? families : [launch.family];
  for (const directory of libraryDirectories(env)) {
    for (const family of candidates) {
      const file = join(directory, sonames[family]);
      if (existsSync(file)) return {family, file};
    }
  }
  return undefined;
}

function libraryDirectories(env: NodeJS.ProcessEnv): string[] {
  const launchers = [
    launcherOfThis(),
    ...(env.PATH ?? '').split(delimiter).map(directory => join(directory, 'mpirun')),
  ].filter(file => file !== undefined && existsSync(file)) as string[];
  const prefixes = launchers.flatMap(file => [
    dirname(dirname(file)),
    dirname(dirname(realpathSync(file))),
  ]);
  const {I_MPI_ROOT: intel, OMPI_LIBDIR_LOC: openMpi} = env;
  return [
    ...(openMpi === undefined ? [] : [openMpi]),
    ...(intel === undefined ? [] : [join(intel, 'lib'), join(intel, 'lib', 'release')]),
    ...prefixes.flatMap(prefix => ['lib', 'lib64'].map(name => join(prefix, name))),
    ...(env.LD_LIBRARY_PATH ?? '').split(delimiter).filter(Boolean),
    ...[
      `/usr/lib/${linuxArchitecture()}-linux-gnu`,
      '/usr/lib64',
      '/usr/lib',
      '/usr/local/lib',
    ],
  ];
}

/** The program that started this one, as far as the system tells. */
function launcherOfThis(): string | undefined {
  try {
    return readlinkSync(`/proc/${process.ppid}/exe`);
  } catch {
    return undefined;
  }
}

function linuxArchitecture(): string {
  return {x64: 'x86_64', arm64: 'aarch64'}[process.arch as string] ?? process.arch;
}
