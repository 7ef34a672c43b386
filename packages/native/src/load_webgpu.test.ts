import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

import {adapterRemedy, describeAdapter, softwareDriver} from './load_webgpu.js';

it("names the Vulkan driver, and what NVIDIA's needs, only on Linux", () => {
  expect(adapterRemedy('linux')).toMatch(/Vulkan driver.*NVIDIA, with libegl1/);
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

describe('the driver of chromium', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'vulkan-'));
  });
  afterEach(() => rmSync(folder, {recursive: true}));

  it('is used where it is the only one', () => {
    const file = join(folder, 'swiftshader');
    writeFileSync(file, '{}');
    const folders = [join(folder, 'missing'), folder];
    expect(softwareDriver({}, folders, file)).toBe(file);
    expect(softwareDriver({}, folders, join(folder, 'missing'))).toBeUndefined();
    expect(softwareDriver({VK_DRIVER_FILES: 'mine'}, folders, file)).toBeUndefined();
    writeFileSync(join(folder, 'nvidia_icd.json'), '{}');
    expect(softwareDriver({}, folders, file)).toBeUndefined();
  });
});
