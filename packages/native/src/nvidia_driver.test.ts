import {parseNvidiaSmi} from './nvidia_driver.js';

describe('parseNvidiaSmi', () => {
  it('reads the driver and its GPUs', () => {
    expect(
      parseNvidiaSmi(
        '550.54.15, NVIDIA H100 80GB HBM3, 81559, 9.0\n550.54.15, Tesla T4, 15360, 7.5\n',
      ),
    ).toEqual({
      version: '550.54.15',
      gpus: [
        {name: 'NVIDIA H100 80GB HBM3', memoryMiB: 81559, computeCapability: '9.0'},
        {name: 'Tesla T4', memoryMiB: 15360, computeCapability: '7.5'},
      ],
    });
  });

  it('does without what an old driver does not tell', () => {
    expect(parseNvidiaSmi('418.87.01, Tesla K80, [N/A]\n')).toEqual({
      version: '418.87.01',
      gpus: [{name: 'Tesla K80', memoryMiB: undefined, computeCapability: undefined}],
    });
  });

  it('knows no GPU where none is listed', () => {
    expect(parseNvidiaSmi('No devices were found\n')).toEqual({
      version: undefined,
      gpus: [],
    });
  });
});
