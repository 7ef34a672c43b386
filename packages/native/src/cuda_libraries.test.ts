import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

import {
  cudaReleaseOf,
  locateLibraries,
  parseLoaderCache,
  pipLibraryDirectories,
  prependLibraryPath,
} from './cuda_libraries.js';

describe('cudaReleaseOf', () => {
  it.each([
    ['2.9.1', '11.2', 'libcudnn.so.8'],
    ['2.16.2', '12.2', 'libcudnn.so.8'],
    ['2.18.0', '12.5', 'libcudnn.so.9'],
    ['2.20.0', '12.5', 'libcudnn.so.9'],
  ])('TensorFlow %s wants CUDA %s and %s', (version, cuda, cudnnLibrary) => {
    const release = cudaReleaseOf(version);
    expect(release.cuda).toBe(cuda);
    expect(release.libraries).toContain(cudnnLibrary);
    expect(release.libraries.some(name => name.startsWith('libcudart.so.1'))).toBe(true);
  });
});

describe('pip packages of CUDA', () => {
  let site: string;
  beforeEach(() => {
    site = mkdtempSync(join(tmpdir(), 'site-packages-'));
    for (const name of ['cudnn', 'cublas']) {
      mkdirSync(join(site, 'nvidia', name, 'lib'), {recursive: true});
    }
    mkdirSync(join(site, 'nvidia', '__pycache__'));
    writeFileSync(join(site, 'nvidia', 'cudnn', 'lib', 'libcudnn.so.9'), '');
  });
  afterEach(() => rmSync(site, {recursive: true}));

  it('are found by their folders', () => {
    expect(pipLibraryDirectories(site)).toEqual([
      join(site, 'nvidia', 'cublas', 'lib'),
      join(site, 'nvidia', 'cudnn', 'lib'),
    ]);
    expect(pipLibraryDirectories(join(site, 'none'))).toEqual([]);
  });

  it('are searched for libraries, after the library path', async () => {
    const [cudnn, none] = await locateLibraries(
      ['libcudnn.so.9', 'libnowhere.so.1'],
      pipLibraryDirectories(site),
      '',
    );
    expect(cudnn.path).toBe(join(site, 'nvidia', 'cudnn', 'lib', 'libcudnn.so.9'));
    expect(none).toEqual({name: 'libnowhere.so.1', path: undefined});

    writeFileSync(join(site, 'libcudnn.so.9'), '');
    const [first] = await locateLibraries(
      ['libcudnn.so.9'],
      pipLibraryDirectories(site),
      `/none:${site}`,
    );
    expect(first.path).toBe(join(site, 'libcudnn.so.9'));
  });
});

it('parseLoaderCache takes the first of several', () => {
  const cache = parseLoaderCache(
    '2 libs found in cache\n' +
      '\tlibcuda.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libcuda.so.1\n' +
      '\tlibcuda.so.1 (libc6) => /lib/i386-linux-gnu/libcuda.so.1\n',
  );
  expect([...cache]).toEqual([['libcuda.so.1', '/lib/x86_64-linux-gnu/libcuda.so.1']]);
});

it('prependLibraryPath names no folder twice', () => {
  expect(prependLibraryPath(['/a', '/b'], '/c:/a:')).toBe('/a:/b:/c');
  expect(prependLibraryPath(['/a'])).toBe('/a');
});
