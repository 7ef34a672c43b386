import {checkParameters, isWithLibraries, whyNoNetworks} from './measure_parts.js';

it('accepts models of the same parameters, apart from those without a norm', () => {
  const parameters = {ours: 9, builtIn: 9, keras: 9, none: 7, 'keras without norm': 7};
  expect(() => checkParameters(parameters)).not.toThrow();
});

it.each<Record<string, number>>([
  {ours: 9, builtIn: 9, keras: 8, none: 7},
  {ours: 9, none: 7, 'pytorch without norm': 6},
])('rejects other models: %j', parameters => {
  expect(() => checkParameters(parameters)).toThrow(/differ in their parameters: .* \d/);
});

it('leaves networks out where a step would take minutes, and says so', () => {
  const cpu = {kind: 'cpu', name: 'processor'} as const;
  const software = {kind: 'software gpu', name: 'SwiftShader'} as const;
  expect(whyNoNetworks('cpu', cpu)).toMatch(/minutes/);
  expect(whyNoNetworks('webgpu', software)).toMatch(/minutes on SwiftShader/);
  expect(whyNoNetworks('wasm', cpu)).toBeUndefined();
  expect(whyNoNetworks('webgpu', {kind: 'gpu', name: 'a GPU'})).toBeUndefined();
});

it('starts other libraries only for what they are measured by', () => {
  expect(isWithLibraries(['dispatch', 'inference', 'accuracy', 'memory'])).toBe(false);
  expect(isWithLibraries(['dispatch', 'norm'])).toBe(true);
  expect(isWithLibraries(['step'])).toBe(true);
});
