import {checkPlatform, pipRequirement} from './platform.js';

const linux = {os: 'linux', arch: 'x64', isGlibc: true};

describe('checkPlatform', () => {
  it.each([linux, {...linux, arch: 'arm64'}])('accepts %p', platform => {
    expect(() => checkPlatform(platform)).not.toThrow();
  });

  it.each([
    [{...linux, os: 'darwin', arch: 'arm64', isGlibc: false}, /this is darwin \(arm64\)/],
    [{...linux, os: 'win32', isGlibc: false}, /this is win32 \(x64\)/],
    [{...linux, arch: 'ia32'}, /this is linux \(ia32\)/],
    [{...linux, isGlibc: false}, /GNU C library/],
  ])('refuses %p', (platform, message) => {
    expect(() => checkPlatform(platform)).toThrow(message);
  });

  it('has no CUDA on arm64', () => {
    expect(() => checkPlatform({...linux, arch: 'arm64'}, 'gpu')).toThrow(/setup --cpu/);
  });
});

it('asks pip for the package of the device and the architecture', () => {
  expect(pipRequirement('gpu', '2.20.0', 'x64')).toBe('tensorflow[and-cuda]==2.20.0');
  expect(pipRequirement('cpu', '2.20.0', 'x64')).toBe('tensorflow-cpu==2.20.0');
  expect(pipRequirement('cpu', '2.20.0', 'arm64')).toBe('tensorflow==2.20.0');
});
