import {compilerArguments, preloadSource} from './addon_build.js';

it('links with the libraries where pip put them', () => {
  const args = compilerArguments({
    sources: ['/tfjs/binding/tfjs_binding.cc'],
    nodeHeaders: '/headers/include',
    tensorflowDirectory: '/site/tensorflow',
    output: '/staging/tfjs_binding.node',
  });
  expect(args).toEqual(
    expect.arrayContaining([
      '-I/headers/include',
      '-I/site/tensorflow/include',
      '-l:libtensorflow_cc.so.2',
      '-l:libtensorflow_framework.so.2',
      '-Wl,-rpath,/site/tensorflow',
    ]),
  );
});

it('names the CUDA libraries and their folders in the source that loads them', () => {
  const source = preloadSource(['/a "b"/lib', '/c/lib'], ['libcudart.so.12']);
  expect(source).toContain(
    'directories[] = {\n    "/a \\"b\\"/lib",\n    "/c/lib",\n    nullptr};',
  );
  expect(source).toContain('libraries[] = {\n    "libcudart.so.12",\n');
});
