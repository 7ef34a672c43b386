// Checks every published package as a user gets it, from what was built: its exports by
// publint, its types under every module system by attw, that Node loads each of them as ESM and
// as CommonJS, that a bundler keeps what importing the package registers, and that what is for
// browsers makes a bundle for them.
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
  '@resbatchnorm/layer': ['registerClass(ResBatchNorm)', 'registerGradient('],
  '@resbatchnorm/wasm-training': ['Conv2DBackpropFilter'],
};

/**
 * What browsers import, and text that a bundle of it must not have: of what there is in Node
 * alone, or of what importing it must not register.
 */
const forBrowsers = {
  '@resbatchnorm/layer': ['node:'],
  '@resbatchnorm/layer/introspection': ['node:', 'registerClass', 'registerKernel'],
  '@resbatchnorm/callbacks': ['node:', 'protobuf', 'crc32c', 'registerClass'],
  '@resbatchnorm/wasm-training': ['node:'],
};

function run(cwd, command, ...args) {
  try {
    return execFileSync(command, args, {cwd, encoding: 'utf8', stdio: 'pipe'});
  } catch (error) {
    const output = `${error.stdout}${error.stderr}`;
    throw new Error(`${command} ${args.join(' ')}\n${output}`, {cause: error});
  }
}

/** For the browser, which is where a bundle may lack what there is of Node. */
async function bundleOf(source) {
  const {outputFiles} = await build({
    stdin: {contents: source, resolveDir: root},
    bundle: true,
    write: false,
    platform: 'browser',
    format: 'esm',
    treeShaking: true,
    external: ['@tensorflow/*'],
    // Not the project's tsconfig, whose paths lead to the sources.
    tsconfigRaw: {},
    logLevel: 'silent',
  });
  return outputFiles[0].text;
}

/** What can be imported, as in `import 'package/subpath'`. */
function importsOf({name, exports}) {
  const subpaths = Object.keys(exports).filter(key => key !== './package.json');
  return subpaths.map(subpath => `${name}${subpath.slice(1)}`);
}

async function check(folder, manifest) {
  const {name, exports} = manifest;
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
  for (const specifier of importsOf(manifest)) {
    const esm = ['--input-type=module', '-e', `await import('${specifier}')`];
    run(root, process.execPath, ...esm);
    if (hasCommonJs) run(root, process.execPath, '-e', `require('${specifier}')`);
    if (specifier in forBrowsers) await checkForBrowsers(specifier, hasCommonJs);
  }
  if (name in registered) await checkRegistered(name);
}

async function checkRegistered(name) {
  const bundle = await bundleOf(`import '${name}';`);
  for (const text of registered[name]) {
    if (!bundle.includes(text))
      throw new Error(`a bundler drops ${text}: see "sideEffects"`);
  }
}

async function checkForBrowsers(name, hasCommonJs) {
  const sources = [`export * from '${name}';`];
  if (hasCommonJs) sources.push(`module.exports = require('${name}');`);
  for (const source of sources) {
    const bundle = await bundleOf(source);
    for (const text of forBrowsers[name]) {
      if (bundle.includes(text))
        throw new Error(`${source} in a bundle for the browser has ${text}`);
    }
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
