/**
 * A project with a tfjs-node-gpu, a Python, a pip and a compiler that only pretend, so that
 * every way in which setup can fail is tested without a network and in no time.
 */
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {delimiter, join} from 'node:path';

const tfjsNode = '@tensorflow/tfjs-node-gpu';

// Counts as loaded if its "addon" is what the fake compiler makes.
const fakeTfjsNode = `
const fs = require('node:fs');
const file = require('@mapbox/node-pre-gyp').find('package.json');
if (!fs.readFileSync(file, 'utf8').startsWith('addon')) throw new Error('no addon at all');
if (fs.readFileSync(file, 'utf8').includes('crash')) process.kill(process.pid, 'SIGKILL');
exports.ones = () => 1;
exports.conv2d = () => ({dataSync: () => [9]});
exports.backend = () => ({binding: {TF_Version: '2.20.0'}, isUsingGpuDevice: false});
exports.removeBackend = () => {};
`;

// $FAKE_PIP is what pip does: nothing, or the error that it prints.
const fakePython = `#!/bin/sh
here=$(dirname "$0")
case "$1 $2" in
  "-m venv")
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  "-m pip")
    if [ -n "$FAKE_PIP" ]; then echo "$FAKE_PIP" >&2; exit 1; fi
    echo "Installing collected packages: a, b"
    mkdir -p "$here/../tensorflow/include/tensorflow/c"
    touch "$here/../tensorflow/libtensorflow_cc.so.2"
    touch "$here/../tensorflow/libtensorflow_framework.so.2"
    touch "$here/../tensorflow/include/tensorflow/c/c_api.h"
    mkdir -p "$here/../nvidia/all/lib" && cd "$here/../nvidia/all/lib"
    touch libcudart.so.12 libcublas.so.12 libcublasLt.so.12 libcufft.so.11
    touch libcusolver.so.11 libcusparse.so.12 libcudnn.so.9 ;;
  *)
    tensorflow=null
    if [ -d "$here/../tensorflow" ]; then
      tensorflow="{\\"version\\": \\"2.20.0\\", \\"directory\\": \\"$here/../tensorflow\\"}"
    fi
    echo "{\\"executable\\": \\"$0\\", \\"version\\": \\"\${FAKE_PYTHON_VERSION:-3.11.2}\\","
    echo "\\"hasVenv\\": true, \\"tensorflow\\": $tensorflow}" ;;
esac
`;

// $FAKE_COMPILER is what the addon holds, or \`fail\`.
const fakeCompiler = `#!/bin/sh
if [ "$1" = --version ]; then exit 0; fi
if [ "$FAKE_COMPILER" = fail ]; then echo "a.cc:1:1: error: no such type" >&2; exit 1; fi
while [ "$1" != -o ]; do shift; done
echo "addon $FAKE_COMPILER" > "$2"
`;

export class FakeProject {
  readonly directory = realpathSync(mkdtempSync(join(tmpdir(), 'fake-project-')));
  readonly package = join(this.directory, 'node_modules', tfjsNode);
  readonly addonFile = join(this.package, 'lib', 'napi-v8', 'tfjs_binding.node');
  readonly cache = join(this.directory, 'cache', 'resbatchnorm-native');
  private readonly bin = join(this.directory, 'bin');
  private readonly original = {env: {...process.env}, cwd: process.cwd()};

  /** Makes the project and makes it the current one. */
  constructor() {
    this.write(
      join(this.package, 'package.json'),
      JSON.stringify({
        name: tfjsNode,
        version: '4.22.0',
        main: 'index.js',
        binary: {
          module_name: 'tfjs_binding',
          module_path: './lib/napi-v{napi_build_version}',
          napi_versions: [3, 8],
        },
      }),
    );
    this.write(join(this.package, 'index.js'), fakeTfjsNode);
    this.write(join(this.package, 'binding', 'tfjs_binding.cc'), '');
    this.write(
      join(this.directory, 'node_modules', '@tensorflow', 'tfjs', 'index.js'),
      "exports.getBackend = () => '';",
    );
    this.write(
      join(this.directory, 'node_modules', '@mapbox', 'node-pre-gyp', 'index.js'),
      `exports.find = () => ${JSON.stringify(this.addonFile)};`,
    );
    this.addProgram('python3', fakePython);
    this.addProgram('g++', fakeCompiler);
    process.chdir(this.directory);
    process.env.PATH = [this.bin, '/usr/bin', '/bin'].join(delimiter);
    process.env.XDG_CACHE_HOME = join(this.directory, 'cache');
    delete process.env.CXX;
  }

  addProgram(name: string, script: string): void {
    this.write(join(this.bin, name), script);
    chmodSync(join(this.bin, name), 0o755);
  }

  /** Leaves it and deletes it. */
  remove(): void {
    process.chdir(this.original.cwd);
    for (const name of Object.keys(process.env)) delete process.env[name];
    Object.assign(process.env, this.original.env);
    rmSync(this.directory, {recursive: true, force: true});
  }

  private write(file: string, content: string): void {
    mkdirSync(join(file, '..'), {recursive: true});
    writeFileSync(file, content);
  }
}
