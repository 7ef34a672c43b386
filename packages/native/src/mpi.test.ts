import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

import {findMpi, findMpiLibrary, mpiLaunch} from './mpi.js';

describe('mpiLaunch', () => {
  it('is nothing for a process that no launcher started', () => {
    expect(mpiLaunch({PATH: '/bin'})).toBeUndefined();
  });

  it('knows what OpenMPI tells', () => {
    const env = {
      OMPI_COMM_WORLD_RANK: '3',
      OMPI_COMM_WORLD_SIZE: '4',
      OMPI_COMM_WORLD_LOCAL_SIZE: '2',
    };
    const launch = {family: 'OpenMPI', rank: 3, size: 4, localSize: 2};
    expect(mpiLaunch(env)).toEqual(launch);
  });

  it('knows what MPICH and Intel MPI tell', () => {
    const env = {PMI_RANK: '0', PMI_SIZE: '4', MPI_LOCALNRANKS: '2'};
    const launch = {family: 'MPICH', rank: 0, size: 4, localSize: 2};
    expect(mpiLaunch(env)).toEqual(launch);
    expect(mpiLaunch({...env, MPI_LOCALNRANKS: undefined})).toMatchObject({localSize: 4});
  });
});

describe('an MPI on the PATH', () => {
  let root = '';
  beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'mpi-'))));
  afterEach(() => rmSync(root, {recursive: true}));

  /** Makes a folder with an mpirun that says this of its version, and an empty library. */
  function install(folder: string, version: string, library: string): string {
    const [bin, lib] = ['bin', 'lib'].map(name => join(root, folder, name));
    mkdirSync(bin, {recursive: true});
    mkdirSync(lib);
    writeFileSync(join(bin, 'mpirun'), `#!/bin/sh\necho '${version}'\n`);
    chmodSync(join(bin, 'mpirun'), 0o755);
    writeFileSync(join(lib, library), '');
    return bin;
  }

  it.each([
    ['OpenMPI', 'mpirun (Open MPI) 5.0.11', '5.0.11', 'libmpi.so.40'],
    ['MPICH', 'HYDRA build details:\n    Version:    4.3.0', '4.3.0', 'libmpi.so.12'],
    ['MPICH', 'Intel(R) MPI Library, Version 2021.14', '2021.14', 'libmpi.so.12'],
    // As Debian names it.
    ['MPICH', 'HYDRA build details:\n    Version:    4.0.2', '4.0.2', 'libmpich.so.12'],
  ])('is found: %s, %j', async (family, text, version, name) => {
    const bin = install('mpi', text, name);
    expect(await findMpi({PATH: bin})).toEqual({
      launcher: {file: join(bin, 'mpirun'), version},
      library: {family, file: join(root, 'mpi/lib', name)},
    });
  });

  it('comes after the one that started this process', () => {
    const openMpi = install('a', '', 'libmpi.so.40');
    const mpich = install('b', '', 'libmpi.so.12');
    const PATH = `${openMpi}:${mpich}`;
    expect(findMpiLibrary({PATH})?.family).toBe('OpenMPI');
    const started = {PATH, PMI_RANK: '0', PMI_SIZE: '2'};
    expect(findMpiLibrary(started)?.file).toBe(join(root, 'b/lib/libmpi.so.12'));
  });

  it('comes after the one that RES_BATCH_NORM_MPI_LIBRARY names', () => {
    const PATH = install('a', '', 'libmpi.so.40');
    install('b', '', 'libmpich.so.12.2.2');
    const link = join(root, 'libmpi.so');
    symlinkSync(join(root, 'b/lib/libmpich.so.12.2.2'), link);
    const env = {PATH, RES_BATCH_NORM_MPI_LIBRARY: link};
    expect(findMpiLibrary(env)).toEqual({family: 'MPICH', file: link});
  });
});
