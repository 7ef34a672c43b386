import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import {dirname, join} from 'node:path';

import {FakeProject} from '../test/fake_project';
import type {NvidiaDriver} from './nvidia_driver.js';
import {readSetupRecord} from './setup_record.js';
import {setUp, type SetupOptions} from './setup.js';

const nothingToDo = /nothing to do/;

describe('setUp', () => {
  let project: FakeProject;
  let log: string[];
  const reporter = {
    start: (text: string) => log.push(text),
    update: (text: string) => log.push(text),
    done: (text: string) => log.push(text),
    warn: (text: string) => log.push(text),
  };
  let driver: NvidiaDriver | undefined;
  const run = (options: SetupOptions = {}) =>
    setUp(options, reporter, async () => driver);
  const said = () => log.join('\n');
  const leftovers = () => [
    ...readdirSync(project.package).filter(name => name.startsWith('.')),
    ...(existsSync(project.cache)
      ? readdirSync(project.cache).filter(name => name.startsWith('.'))
      : []),
  ];

  beforeEach(() => {
    project = new FakeProject();
    log = [];
    driver = undefined;
  });
  afterEach(() => project.remove());

  it('installs TensorFlow, builds the addon, tries it and moves it in', async () => {
    await run();
    expect(readFileSync(project.addonFile, 'utf8')).toMatch(/^addon/);
    expect(readSetupRecord(project.addonFile)).toMatchObject({
      device: 'cpu',
      tensorflowVersion: '2.20.0',
      tfjsNodeVersion: '4.22.0',
    });
    expect(readdirSync(project.cache)).toEqual(['tensorflow-2.20.0-cpu-python3.11']);
    expect(leftovers()).toEqual([]);
  });

  it('does nothing the second time', async () => {
    await run();
    log = [];
    process.env.FAKE_COMPILER = 'fail';
    await run();
    expect(said()).toMatch(nothingToDo);
  });

  it('takes the environment made for another project, or before npm ci', async () => {
    await run();
    process.env.FAKE_PIP = 'ERROR: pip should not run';
    writeFileSync(project.addonFile, 'something else');
    log = [];
    await run();
    expect(said()).not.toMatch(nothingToDo);
    expect(readFileSync(project.addonFile, 'utf8')).toMatch(/^addon/);
  });

  it('mends an environment that was half deleted', async () => {
    await run();
    const {tensorflowDirectory} = readSetupRecord(project.addonFile)!;
    const library = join(tensorflowDirectory, 'libtensorflow_cc.so.2');
    writeFileSync(project.addonFile, 'something else');
    rmSync(library);
    await run();
    expect(existsSync(library)).toBe(true);
  });

  it('uses the TensorFlow of --python, and then makes no environment', async () => {
    await run();
    const {python} = readSetupRecord(project.addonFile)!;
    process.env.FAKE_PIP = 'ERROR: pip should not run';
    await run({python});
    expect(readSetupRecord(project.addonFile)).toMatchObject({requestedPython: python});
  });

  it('removes what a run left that was broken off, and not what one is working on', async () => {
    const [left, inUse] = [2 ** 22 + 1, process.ppid].map(pid =>
      join(project.cache, `.tensorflow-2.20.0-cpu-python3.11.${pid}`),
    );
    mkdirSync(left, {recursive: true});
    mkdirSync(inUse);
    await run();
    expect([existsSync(left), existsSync(inUse)]).toEqual([false, true]);
  });

  describe('for a GPU', () => {
    const t4 = {version: '550.54.15', gpus: [{name: 'Tesla T4'}]};

    it('accepts that no driver answers, with a warning', async () => {
      await run({device: 'gpu'});
      expect(readSetupRecord(project.addonFile)).toMatchObject({device: 'gpu'});
      expect(said()).toMatch(/No NVIDIA driver answers/);
    });

    it('is the default where a driver answers, and fails if TensorFlow has no GPU', async () => {
      driver = t4;
      await expect(run()).rejects.toThrow(
        /registered no GPU.*Without a GPU: `resbatchnorm-native setup --cpu`/,
      );
      expect(existsSync(project.addonFile)).toBe(false);
      await run({device: 'cpu'});
      expect(readSetupRecord(project.addonFile)).toMatchObject({device: 'cpu'});
    });

    it('mends an environment that lacks a CUDA library', async () => {
      await run({device: 'gpu'});
      const {tensorflowDirectory} = readSetupRecord(project.addonFile)!;
      const library = join(tensorflowDirectory, '../nvidia/all/lib/libcudnn.so.9');
      rmSync(library);
      driver = t4;
      await expect(run()).rejects.toThrow(/registered no GPU/);
      expect(existsSync(library)).toBe(true);
    });
  });

  describe('when it fails', () => {
    const before = 'what worked before';
    const failures: [string, () => void, RegExp][] = [
      [
        'for lack of a compiler',
        () => (process.env.CXX = '/nowhere/g++'),
        /No C\+\+ compiler was found \(tried \/nowhere\/g\+\+\)\. Install one/,
      ],
      [
        'in the compiler',
        () => (process.env.FAKE_COMPILER = 'fail'),
        /g\+\+ ended with exit code 1: a\.cc:1:1: error: no such type\. Take another/,
      ],
      [
        'in the op',
        () => (process.env.FAKE_COMPILER = 'crash'),
        /does not run: the process that loaded it was ended by SIGKILL/,
      ],
      [
        'in pip',
        () => (process.env.FAKE_PIP = 'ERROR: [Errno 28] No space left on device'),
        /no space is left on the disk\. Free some/,
      ],
      [
        'for an old Python',
        () => {
          process.env.FAKE_PYTHON_VERSION = '3.8.1';
          for (const minor of [10, 11, 12, 13]) {
            project.addProgram(`python3.${minor}`, '#!/bin/sh\nexit 1\n');
          }
        },
        /Python 3\.8\.1 \(python3\) is too old/,
      ],
    ];

    it.each(failures)(
      '%s: one message, and nothing is changed',
      async (_, spoil, message) => {
        mkdirSync(dirname(project.addonFile), {recursive: true});
        writeFileSync(project.addonFile, before);
        spoil();
        await expect(run()).rejects.toThrow(message);
        expect(readFileSync(project.addonFile, 'utf8')).toBe(before);
        expect(leftovers()).toEqual([]);
        expect(readSetupRecord(project.addonFile)).toBeUndefined();
      },
    );
  });
});
