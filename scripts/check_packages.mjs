// Checks every published package as a user gets it, from what was built: its exports by
// publint, its types under every module system by attw, that Node loads it as ESM and as
// CommonJS, and that a bundler keeps what importing it registers.
//
//     npm run check:packages
import {execFileSync} from 'node:child_process';
import {mkdtempSync, readFileSync, readdirSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';

import {build} from 'esbuild';

const root = path.dirname(import.meta.dirname);

/** Text that must be in a bundle of nothing but `import 'package'`. */
const registered = {
  '@resbatchnorm/layer': ['registerClass(ResBatchNorm)', 'ResBatchNormTrainingGrad'],
  '@resbatchnorm/wasm-training': ['Conv2DBackpropFilter'],
};

function run(cwd, command, ...args) {
  try {
    return execFileSync(command, args, {cwd, encoding: 'utf8', stdio: 'pipe'});
  } catch (error) {
    const output = `${error.stdout}${error.stderr}`;
    throw new Error(`${command} ${args.join(' ')}\n${output}`, {cause: error});
  }
}

async function bundleOf(source) {
  const {outputFiles} = await build({
    stdin: {contents: source, resolveDir: root},
    bundle: true,
    write: false,
    format: 'esm',
    treeShaking: true,
    external: ['@tensorflow/*'],
    // Not the project's tsconfig, whose paths lead to the sources.
    tsconfigRaw: {},
    logLevel: 'silent',
  });
  return outputFiles[0].text;
}

async function check(folder, {name, exports}) {
  const hasCommonJs = exports['.'].require !== undefined;
  run(folder, 'npx', 'publint', '--strict');
  const packed = mkdtempSync(path.join(tmpdir(), 'resbatchnorm-'));
  try {
    run(folder, 'npm', 'pack', '--silent', '--pack-destination', packed);
    const [tarball] = readdirSync(packed);
    const profile = hasCommonJs ? 'node16' : 'esm-only';
    run(folder, 'npx', 'attw', '--profile', profile, path.join(packed, tarball));
  } finally {
    rmSync(packed, {recursive: true});
  }
  const modules = ['--input-type=module', '-e', `await import('${name}')`];
  run(root, process.execPath, ...modules);
  if (hasCommonJs) run(root, process.execPath, '-e', `require('${name}')`);
  if (!(name in registered)) return;
  const bundle = await bundleOf(`import '${name}';`);
  for (const text of registered[name]) {
    if (!bundle.includes(text))
      throw new Error(`a bundler drops ${text}: see "sideEffects"`);
  }
}

let failed = 0;
for (const entry of readdirSync(path.join(root, 'packages'))) {
  const folder = path.join(root, 'packages', entry);
  const manifest = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
  if (manifest.private) continue;
  try {
    await check(folder, manifest);
    console.log(`${manifest.name}: right`);
  } catch (error) {
    ++failed;
    console.error(`${manifest.name}: ${error.message}`);
  }
}
process.exitCode = failed > 0 ? 1 : 0;
