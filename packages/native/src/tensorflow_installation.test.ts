import {minimumComputeCapability, parseBuildInfo} from './tensorflow_installation.js';

describe('parseBuildInfo', () => {
  it('reads a build for CUDA', () => {
    const build = parseBuildInfo(
      "build_info = collections.OrderedDict([('cpu_compiler', 'clang'), " +
        "('cuda_compute_capabilities', ['sm_60', 'sm_89', 'compute_90']), " +
        "('cuda_version', '12.5.1'), ('cudnn_version', '9'), ('is_cuda_build', True), " +
        "('is_rocm_build', False), ('is_tensorrt_build', False)])",
    );
    expect(build).toEqual({
      isCuda: true,
      cuda: '12.5.1',
      cudnn: '9',
      computeCapabilities: ['sm_60', 'sm_89', 'compute_90'],
    });
    expect(minimumComputeCapability(build)).toBe(6);
  });

  it('reads a build for the CPU', () => {
    const build = parseBuildInfo(
      "build_info = collections.OrderedDict([('is_cuda_build', False), " +
        "('is_rocm_build', False), ('is_tensorrt_build', False)])",
    );
    expect(build).toEqual({isCuda: false, computeCapabilities: []});
    expect(minimumComputeCapability(build)).toBeUndefined();
  });
});
