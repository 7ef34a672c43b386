// Bundles test files for pages, all at once: what they share, TensorFlow.js above all, is
// bundled once.
import {builtinModules, createRequire} from 'node:module';
import path from 'node:path';

import {bundle} from '@resbatchnorm/testing/chromium';

const folder = import.meta.dirname;
const root = path.resolve(folder, '../..');

/** Whose `paths` lead to the sources of the packages. */
const tsconfig = path.join(root, 'tsconfig.json');

/**
 * Puts the shims instead of Node's modules. That is for Jest's own packages alone: in a
 * test file a module of Node is an error.
 */
const withoutNode = {
  name: 'without-node',
  setup(build) {
    const shimmed = new Set([...builtinModules, 'graceful-fs']);
    const require = createRequire(import.meta.url);
    build.onResolve({filter: /^[a-z]/}, ({path: specifier}) => {
      const name = specifier.replace(/^node:/, '');
      if (name === 'path') return {path: require.resolve('path-browserify')};
      return shimmed.has(name) ? {path: path.join(folder, 'node_shims.ts')} : undefined;
    });
    // That is `expect` with snapshots, which are files.
    const namespace = 'expect-without-snapshots';
    build.onResolve({filter: /^@jest\/expect$/}, ({path}) => ({path, namespace}));
    build.onLoad({filter: /./, namespace}, () => ({
      contents: "export {expect as jestExpect} from 'expect';",
      resolveDir: folder,
    }));
  },
};

/** What of Node's `process` the tests ask for. */
const {FAST_CHECK_SEED} = process.env;
const define = {
  'process.env.FAST_CHECK_SEED': JSON.stringify(FAST_CHECK_SEED) ?? 'undefined',
};

/** The URL that a page imports the bundle of a file by. */
export function urlOf(file) {
  return `/${nameOf(file)}.js`;
}

function nameOf(file) {
  return path.relative(root, file).replace(/\.[^.]+$/, '');
}

function entriesOf(files) {
  return Object.fromEntries(files.map(file => [nameOf(file), file]));
}

/**
 * The files for the pages, and the error of each test file that could not be bundled.
 * `setUpFiles` are bundled along.
 */
export async function bundleTests(testFiles, setUpFiles) {
  const [page, tests] = await Promise.all([
    bundle({
      entries: {page: path.join(folder, 'page.ts')},
      tsconfig,
      esbuild: {
        plugins: [withoutNode],
        inject: [path.join(folder, 'node_globals.ts')],
        define: {'require.resolve': 'String'},
      },
    }),
    bundleTogether(testFiles, setUpFiles),
  ]);
  return {files: new Map([...page, ...tests.files]), errors: tests.errors};
}

async function bundleTogether(testFiles, setUpFiles) {
  if (testFiles.length === 0) return {files: new Map(), errors: new Map()};
  try {
    const entries = entriesOf([...setUpFiles, ...testFiles]);
    // Packages tell which of their built files must be kept; here are the sources.
    const esbuild = {define, ignoreAnnotations: true};
    return {files: await bundle({entries, tsconfig, esbuild}), errors: new Map()};
  } catch (error) {
    if (testFiles.length > 1) return bundleWithoutFaulty(testFiles, setUpFiles);
    return {files: new Map(), errors: new Map([[testFiles[0], error]])};
  }
}

async function bundleWithoutFaulty(testFiles, setUpFiles) {
  const alone = await Promise.all(
    testFiles.map(file => bundleTogether([file], setUpFiles)),
  );
  const errors = new Map(alone.flatMap(tests => [...tests.errors]));
  const faultless = testFiles.filter(file => !errors.has(file));
  const {files} = await bundleTogether(faultless, setUpFiles);
  return {files, errors};
}
