/**
 * Makes programs of the code on a page. Its `js` and `ts` blocks are one program: they run in
 * order, and each sees the names of those before it and may declare them anew, as a reader
 * would who types them one after the other. What follows the language says otherwise:
 *
 *     ```js new-program            a program of its own begins here
 *     ```js no-run: needs a GPU    has the right types, but is not run
 *
 * A program has each line where the page has it, so that errors name the line of the page. A
 * `text` block right after code is what that code prints, with … for what differs each time.
 *
 * Imports of this project's packages go to their sources, and only as far as `exports` in their
 * package.json lets a user go.
 */
import {spawnSync} from 'node:child_process';
import {existsSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join, resolve} from 'node:path';

import ts from 'typescript';

import type {CodeBlock, Page} from './markdown';

export const root = resolve(__dirname, '../..');

const isCode = ({language}: CodeBlock) => language === 'js' || language === 'ts';
const isRun = ({info}: CodeBlock) => !info.startsWith('no-run');

/** Blocks of a page that are one program. */
export interface Program {
  page: Page;
  blocks: CodeBlock[];
}

/** The programs of a page: all their code, whose types are checked, or what is run of it. */
export function programsOf(page: Page, part: 'all' | 'run'): Program[] {
  const programs: Program[] = [];
  for (const block of page.blocks.filter(isCode)) {
    if (programs.length === 0 || block.info === 'new-program')
      programs.push({page, blocks: []});
    if (part === 'all' || isRun(block)) programs.at(-1)!.blocks.push(block);
  }
  return programs.filter(({blocks}) => blocks.length > 0);
}

/** Where a program begins on its page: names it in the output of the tests. */
export const nameOf = ({page, blocks}: Program) => `${page.path}:${blocks[0].line}`;

/** In the output of a program: what follows was printed by the block of that line. */
const MARK = '\u0001';

/** A module with the code of a program. */
function sourceOf({page, blocks}: Program): string {
  const lines = new Array<string>(page.lineCount).fill('');
  const imports = new Set<string>();
  for (const {code, line} of blocks) {
    // Each block is in the scope of the one before it.
    lines[line - 1] = `{ console.log(${JSON.stringify(MARK + line)});`;
    const statements = hoistImports(code, imports).split('\n');
    lines.splice(line, statements.length, ...statements);
  }
  lines[0] = Array.from(imports).join(' ') + lines[0];
  return `${lines.join('\n')}\n${'}'.repeat(blocks.length)}\nexport {};\n`;
}

/** Adds the imports of some code to a set, one a name, and returns the code without them. */
function hoistImports(code: string, imports: Set<string>): string {
  const file = ts.createSourceFile('', code, ts.ScriptTarget.Latest, true);
  let rest = code;
  for (const statement of file.statements.filter(ts.isImportDeclaration)) {
    const from = statement.moduleSpecifier.getText(file);
    const names = namesOf(statement.importClause, file);
    if (names.length === 0) imports.add(`import ${from};`);
    for (const name of names) imports.add(`import ${name} from ${from};`);
    const [start, end] = [statement.getStart(file), statement.end];
    rest =
      rest.slice(0, start) +
      rest.slice(start, end).replace(/[^\n]/g, ' ') +
      rest.slice(end);
  }
  return rest;
}

function namesOf(clause: ts.ImportClause | undefined, file: ts.SourceFile): string[] {
  if (clause === undefined) return [];
  const type = clause.phaseModifier === ts.SyntaxKind.TypeKeyword ? 'type ' : '';
  const {name, namedBindings} = clause;
  const names = name === undefined ? [] : [name.getText(file)];
  if (namedBindings === undefined) return names.map(one => type + one);
  const bindings = ts.isNamespaceImport(namedBindings)
    ? [namedBindings.getText(file)]
    : namedBindings.elements.map(element => `{${element.getText(file)}}`);
  return [...names, ...bindings].map(one => type + one);
}

/** The modules that the packages export, each with its source. */
function exportedModules(): Map<string, string> {
  const modules = new Map<string, string>();
  for (const folder of readdirSync(join(root, 'packages'))) {
    const directory = join(root, 'packages', folder);
    const manifest = join(directory, 'package.json');
    if (!existsSync(manifest)) continue;
    const {name, exports: targets} = JSON.parse(readFileSync(manifest, 'utf8'));
    for (const [subpath, target] of Object.entries<Target>(targets)) {
      const built = pathOf(target);
      if (!built.endsWith('.js')) continue;
      const source = built.replace(/^\.\/dist\/(esm\/)?/, 'src/').replace(/\.js$/, '.ts');
      modules.set(join(name, subpath), join(directory, source));
    }
  }
  return modules;
}

type Target = string | {[condition: string]: Target};

const pathOf = (target: Target): string =>
  typeof target === 'string' ? target : pathOf(target.import ?? target.default);

/** The type errors of programs, each with the page and the line. */
export function typeErrors(programs: Program[]): string[] {
  // Beside the pages, so that packages are found as from there.
  const sources = new Map(
    programs.map(program => [join(root, `${nameOf(program)}.ts`), sourceOf(program)]),
  );
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2022.d.ts'],
    types: ['node'],
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    strict: true,
    skipLibCheck: true,
    noEmit: true,
    paths: Object.fromEntries(
      Array.from(exportedModules(), ([name, file]) => [name, [file]]),
    ),
  };
  const host = ts.createCompilerHost(options);
  const {getSourceFile, fileExists} = host;
  host.fileExists = path => sources.has(path) || fileExists(path);
  host.getSourceFile = (path, language, ...rest) => {
    const source = sources.get(path);
    return source === undefined
      ? getSourceFile(path, language, ...rest)
      : ts.createSourceFile(path, source, language);
  };
  const compilation = ts.createProgram(Array.from(sources.keys()), options, host);
  return programs.flatMap(program => {
    const file = compilation.getSourceFile(join(root, `${nameOf(program)}.ts`))!;
    const diagnostics = [
      ...compilation.getSyntacticDiagnostics(file),
      ...compilation.getSemanticDiagnostics(file),
    ];
    return diagnostics.map(({start, messageText}) => {
      const {line} = file.getLineAndCharacterOfPosition(start ?? 0);
      const message = ts.flattenDiagnosticMessageText(messageText, '\n');
      return `${program.page.path}:${line + 1}: ${message}`;
    });
  });
}

/**
 * Runs a program in Node. Returns what each of its blocks printed, by the line of the block, or
 * throws an error that says where on the page it failed.
 *
 * @param folder Where it is run, and may write: within the repository, for the sake of the
 *     packages that are installed there.
 */
export function run(program: Program, folder: string): Map<number, string> {
  const source = join(folder, `${nameOf(program).replace(/\W/g, '_')}.ts`);
  const bundle = `${source}.mjs`;
  writeFileSync(source, sourceOf(program));
  const node = (...args: string[]) => {
    const options = {cwd: folder, encoding: 'utf8', timeout: 120_000} as const;
    const {status, signal, stdout, stderr} = spawnSync(process.execPath, args, options);
    if (status === 0) return stdout;
    // Without the source of the wasm backend, a line of 200,000 characters.
    const lines = stderr.split('\n').filter(line => line.length < 1000);
    const error = lines.join('\n').replaceAll(source, program.page.path);
    throw new Error(`${nameOf(program)} ended with ${signal ?? status}:\n${error}`);
  };
  node(
    join(root, 'node_modules/esbuild/bin/esbuild'),
    source,
    '--bundle',
    ...Array.from(exportedModules(), ([module, file]) => `--alias:${module}=${file}`),
    '--packages=external',
    // Importing the layer is what registers it.
    '--ignore-annotations',
    '--platform=node',
    '--format=esm',
    // Not that of the repository, by which all sources can be imported.
    '--tsconfig-raw={}',
    '--sourcemap=inline',
    // Of the one CommonJS file of the packages, which says where @resbatchnorm/native lies.
    `--define:__dirname=${JSON.stringify(join(root, 'packages/native'))}`,
    '--log-level=error',
    `--outfile=${bundle}`,
  );
  return new Map(
    node('--enable-source-maps', bundle)
      .split(MARK)
      .slice(1)
      .map(part => [Number.parseInt(part, 10), part.slice(part.indexOf('\n') + 1)]),
  );
}

/** What blocks of a program should have printed, and did not; empty if all is as the page says. */
export function unlikeThePage(program: Program, printed: Map<number, string>): string[] {
  const {blocks} = program.page;
  return program.blocks.flatMap(block => {
    const next = blocks[blocks.indexOf(block) + 1];
    if (next?.language !== 'text') return [];
    const text = (printed.get(block.line) ?? '').replace(/ +$/gm, '').trim();
    const parts = next.code.trim().split('…');
    const pattern = parts
      .map(part => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join('.*');
    if (new RegExp(`^${pattern}$`).test(text)) return [];
    return [`${program.page.path}:${next.line}: the code above prints\n${text}`];
  });
}
