import {parseTensorFlowLog} from './tensorflow_log.js';

describe('parseTensorFlowLog', () => {
  it('reads the GPUs that were registered', () => {
    const log = parseTensorFlowLog(
      'I0000 00:00:1723690000.123456   12345 gpu_device.cc:2020] Created device ' +
        '/job:localhost/replica:0/task:0/device:GPU:0 with 13775 MB memory:  -> device: 0, ' +
        'name: Tesla T4, pci bus id: 0000:00:04.0, compute capability: 7.5\n' +
        'I0000 00:00:1723690000.123457   12345 gpu_device.cc:2020] Created device ' +
        '/job:localhost/replica:0/task:0/device:GPU:1 with 78000 MB memory:  -> device: 1, ' +
        'name: NVIDIA H100 80GB HBM3, pci bus id: 0000:00:05.0, compute capability: 9.0\n',
    );
    expect(log).toEqual({
      gpus: [
        {index: 0, name: 'Tesla T4', memoryMiB: 13775, computeCapability: '7.5'},
        {
          index: 1,
          name: 'NVIDIA H100 80GB HBM3',
          memoryMiB: 78000,
          computeCapability: '9.0',
        },
      ],
      usesOneDnn: false,
      missingLibraries: [],
      complaints: [],
    });
  });

  // As TensorFlow 2.20 wrote it with the pip package of cuSOLVER taken away.
  it('names each library that could not be loaded once', () => {
    const line =
      '2025-01-02 03:04:05.678901: I external/local_xla/xla/tsl/platform/default/' +
      "dso_loader.cc:87] Could not load dynamic library 'libcusolver.so.11'; dlerror: " +
      'libcusolver.so.11: cannot open shared object file: No such file or directory';
    const {missingLibraries} = parseTensorFlowLog(
      [
        'I external/local_xla/xla/tsl/platform/default/dso_loader.cc:76] Successfully ' +
          'opened dynamic library libcufft.so.11',
        `${line}; LD_LIBRARY_PATH: /opt/cuda/lib64`,
        line,
        'W0000 00:00:1795563569.162862   26638 gpu_device.cc:2342] Cannot dlopen some GPU ' +
          'libraries. Please make sure the missing libraries mentioned above are installed ' +
          'properly if you would like to use GPU.',
        'Skipping registering GPU devices...',
      ].join('\n'),
    );
    expect(missingLibraries).toEqual([
      {
        name: 'libcusolver.so.11',
        reason:
          'libcusolver.so.11: cannot open shared object file: No such file or directory',
      },
    ]);
  });

  it('keeps what the driver complained of', () => {
    const {complaints} = parseTensorFlowLog(
      '2025-01-02 03:04:05.678901: E external/local_xla/xla/stream_executor/cuda/' +
        'cuda_platform.cc:51] failed call to cuInit: INTERNAL: CUDA error: Failed call to ' +
        'cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected\n',
    );
    expect(complaints).toEqual([
      'failed call to cuInit: INTERNAL: CUDA error: Failed call to cuInit: ' +
        'CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected',
    ]);
  });

  it('sees oneDNN switched on', () => {
    const {usesOneDnn} = parseTensorFlowLog(
      '2026-01-01 I tensorflow/core/util/port.cc:153] oneDNN custom operations are on. You may…',
    );
    expect(usesOneDnn).toBe(true);
  });
});
