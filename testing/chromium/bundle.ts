/** Bundles TypeScript or JavaScript modules, with all that they import, for a page. */
import type {BuildOptions} from 'esbuild';

/** The files that pages can load: content by path, which begins with a slash. */
export type Files = ReadonlyMap<string, string>;

export interface BundleArgs {
  /**
   * The modules to bundle: file by name. The module `bench` is loaded in a page as
   * `/bench.js`. What several modules import is in a file of its own, so it is the same
   * instance for all of them in one page.
   */
  entries: Readonly<Record<string, string>>;
  /** The tsconfig.json for all files, whose `paths` are followed; default: the nearest. */
  tsconfig?: string;
  /** Further options of esbuild, such as `define` and `plugins`. */
  esbuild?: Pick<
    BuildOptions,
    'alias' | 'define' | 'ignoreAnnotations' | 'inject' | 'plugins'
  >;
}

/**
 * The files to serve to pages: a bundle of each entry, and source maps with absolute paths.
 * Nothing is written to disk.
 *
 * @throws The error of esbuild, whose message names each fault with its file and line.
 */
export async function bundle({
  entries,
  tsconfig,
  esbuild: options,
}: BundleArgs): Promise<Files> {
  // Loaded only here: whoever only looks for a Chromium does not wait for it.
  const {build} = await import('esbuild');
  const {outputFiles} = await build({
    ...options,
    entryPoints: entries,
    tsconfig,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    // Error messages tell class and function names.
    keepNames: true,
    sourcemap: 'linked',
    // Sources are then relative to the root, which makes absolute paths of them.
    outdir: '/',
    write: false,
    logLevel: 'silent',
  });
  return new Map(outputFiles.map(({path, text}) => [path, text]));
}
