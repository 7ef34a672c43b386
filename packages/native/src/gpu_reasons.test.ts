import {type GpuFacts, whyNoGpu} from './gpu_reasons.js';

const driver = {
  version: '550.54.15',
  gpus: [{name: 'Tesla T4', memoryMiB: 15360, computeCapability: '7.5'}],
};
const cudaBuild = {
  isCuda: true,
  cuda: '12.5.1',
  cudnn: '9',
  computeCapabilities: ['sm_60', 'sm_70', 'sm_80', 'sm_89', 'compute_90'],
};
const silent = {gpus: [], missingLibraries: [], complaints: [], usesOneDnn: false};
const facts: GpuFacts = {
  tensorflowVersion: '2.20.0',
  build: cudaBuild,
  driver,
  log: silent,
};

function problems(changes: Partial<GpuFacts>): string[] {
  return whyNoGpu({...facts, ...changes}).map(({problem}) => problem);
}

describe('whyNoGpu', () => {
  it('tells the libraries that stock tfjs-node-gpu misses on CUDA 12', () => {
    const missing = ['libcudart.so.11.0', 'libcublas.so.11', 'libcudnn.so.8'];
    const reasons = whyNoGpu({
      ...facts,
      tensorflowVersion: '2.9.1',
      build: undefined,
      log: {
        ...silent,
        // libnvinfer is TensorRT: TensorFlow asks for it, but registers GPUs without it.
        missingLibraries: [...missing, 'libnvinfer.so.7'].map(name => ({
          name,
          reason: 'No such file or directory',
        })),
      },
    });
    expect(reasons).toEqual([
      {
        problem:
          'libtensorflow 2.9.1 is built for CUDA 11.2 and cuDNN 8.1, and does not find ' +
          'libcudart.so.11.0, libcublas.so.11, libcudnn.so.8.',
        remedy: 'Run `npx resbatchnorm-native setup --gpu`.',
      },
    ]);
  });

  it('tells a build for the CPU', () => {
    const build = {isCuda: false, computeCapabilities: []};
    expect(problems({build})).toEqual(['libtensorflow 2.20.0 is built for the CPU.']);
  });

  it('puts a missing driver first', () => {
    const build = {isCuda: false, computeCapabilities: []};
    expect(problems({build, driver: undefined})).toEqual([
      expect.stringMatching(/^No NVIDIA driver answers/),
      'libtensorflow 2.20.0 is built for the CPU.',
    ]);
  });

  it('tells a driver that is too old for the CUDA of the build', () => {
    const old = {...driver, version: '470.256.02'};
    expect(problems({driver: old})).toEqual([
      'The NVIDIA driver 470.256.02 is too old: CUDA 12.5 needs 525.60.13.',
    ]);
    expect(problems({driver: old, tensorflowVersion: '2.9.1', build: undefined})).toEqual(
      [expect.stringMatching(/does not say why/)],
    );
  });

  it.each(['', '-1', 'none'])('tells that CUDA_VISIBLE_DEVICES="%s" hides', value => {
    expect(problems({visibleDevices: value})[0]).toMatch(/hides all GPUs/);
  });

  it.each(['0', '1,0', 'GPU-8932f937', 'MIG-b2f9'])(
    'does not blame CUDA_VISIBLE_DEVICES="%s"',
    value => expect(problems({visibleDevices: value})[0]).not.toMatch(/hides/),
  );

  it('tells a GPU that the build has no code for', () => {
    const gpus = [{name: 'Tesla M60', computeCapability: '5.2'}];
    expect(problems({driver: {...driver, gpus}})).toEqual([
      'TensorFlow needs a GPU of compute capability 6.0: Tesla M60 (5.2).',
    ]);
  });

  it("falls back on TensorFlow's own words", () => {
    const complaint = 'failed call to cuInit: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH';
    const [reason] = whyNoGpu({...facts, log: {...silent, complaints: [complaint]}});
    expect(reason.problem).toContain(complaint);
    expect(reason.remedy).toMatch(/restart/);
  });
});
