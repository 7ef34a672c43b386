import {adapterRemedy, describeAdapter} from './load_webgpu.js';

it('names the Vulkan driver only on Linux', () => {
  expect(adapterRemedy('linux')).toMatch(/Vulkan driver/);
  expect(adapterRemedy('darwin')).not.toMatch(/Vulkan/);
});

it('describes an adapter by the most telling of its names', () => {
  const info = {
    vendor: 'nvidia',
    architecture: 'hopper',
    device: '0x2330',
    description: '',
  };
  expect(describeAdapter(info)).toBe('nvidia hopper');
  expect(describeAdapter({...info, device: 'H100', description: 'driver 550'})).toBe(
    'H100, driver 550',
  );
  expect(
    describeAdapter({vendor: '', architecture: '', device: '', description: ''}),
  ).toBe('unnamed adapter');
});
