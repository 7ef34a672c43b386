/** What all pages refer to is there: links, paths, and the commands with their options. */
import {existsSync, readFileSync, statSync} from 'node:fs';
import {basename, dirname, join, normalize, relative, resolve} from 'node:path';

import {filesBelow, parsePage, readPages} from './markdown';
import type {Page} from './markdown';

const root = resolve(__dirname, '../..');
const files = filesBelow(root).map(path => relative(root, path));
const names = new Set(files.map(path => basename(path)));
const pages = new Map(readPages(root).map(page => [page.path, page]));
const sources = files
  .filter(path => /\.(ts|js|mjs|json)$/.test(path) && !path.startsWith('testing/docs/'))
  .map(path => join(root, path))
  // The larger ones are data.
  .filter(path => statSync(path).size < 100_000)
  .map(path => readFileSync(path, 'utf8'));

test.each(Array.from(pages))('%s', (_, page) => {
  expect(missingIn(page)).toEqual([]);
});

function missingIn(page: Page): string[] {
  const commands = [
    ...page.blocks
      .filter(({language}) => language === 'sh')
      .flatMap(({code, line}) =>
        code.split('\n').map((text, i) => ({text, line: line + 1 + i})),
      ),
    ...page.inlineCode.filter(({text}) => /^(npm|npx|node|python3?) /.test(text)),
  ];
  return [
    ...page.links.filter(({text}) => !isTarget(text, page)),
    ...page.inlineCode.filter(({text}) => looksLikePath(text) && !isThere(text, page)),
    ...page.inlineCode.filter(({text}) => !optionsAreThere(text)),
    ...commands.filter(({text}) => !commandIsThere(text, page) || !optionsAreThere(text)),
  ].map(({text, line}) => `${page.path}:${line}: ${text}`);
}

/** A link: elsewhere, or to a file, or to a heading of a page. */
function isTarget(link: string, page: Page): boolean {
  if (/^https?:/.test(link)) return true;
  const [path, anchor] = link.split('#');
  const target = path === '' ? page.path : normalize(join(dirname(page.path), path));
  if (!existsSync(join(root, target))) return false;
  return anchor === undefined || (pages.get(target)?.anchors.includes(anchor) ?? false);
}

/** Of this repository: in one of its folders, or a source by its name alone. */
function looksLikePath(text: string): boolean {
  if (!/^[\w.@/{},-]+$/.test(text)) return false;
  return (
    /^(packages|examples|tools|testing|docs|scripts|src)\//.test(text) ||
    /^[^.].*\.ts$/.test(text)
  );
}

/** From the root or from the folder of the page; `{a,b}` stands for both. */
function isThere(path: string, page: Page): boolean {
  const braces = /\{([^}]+)\}/.exec(path);
  if (braces !== null) {
    const parts = braces[1].split(',');
    return parts.every(part => isThere(path.replace(braces[0], part), page));
  }
  if (!path.includes('/')) return names.has(path);
  return [root, join(root, dirname(page.path))].some(folder =>
    existsSync(join(folder, path)),
  );
}

/** `--name` stands in a source; those of npm and Jest are known. */
function optionsAreThere(text: string): boolean {
  const ofOthers = ['--selectProjects', '--ignore-scripts', '--import', '--strict'];
  if (!/^(--|npm|npx|node)/.test(text)) return true;
  return Array.from(text.matchAll(/(?<=^|\s)--[a-z][\w-]+/g), ([option]) => option).every(
    option =>
      ofOthers.includes(option) || sources.some(source => source.includes(option)),
  );
}

/** The scripts, workspaces, programs and files that a line for the shell names. */
function commandIsThere(line: string, page: Page): boolean {
  return line
    .replace(/(^| )#.*/, '')
    .split('&&')
    .every(command => partsAreThere(command.trim().split(/\s+/), page));
}

function partsAreThere([program, ...words]: string[], page: Page): boolean {
  const workspaces = words.filter((_, i) => /^(-w|--workspace)$/.test(words[i - 1]));
  if (!workspaces.every(path => existsSync(join(root, path, 'package.json'))))
    return false;
  switch (program) {
    case 'npm': {
      const script = words[0] === 'run' ? words[1] : words[0];
      if (words[0] !== 'run' && !['start', 'test'].includes(script)) return true;
      const folders = workspaces.length > 0 ? workspaces : ['', dirname(page.path)];
      return folders.some(folder => scriptsOf(folder).includes(script));
    }
    case 'npx': {
      const paths = words.slice(1).filter(word => /^[\w.-]+\//.test(word));
      return isProgram(words[0]) && paths.every(path => isThere(path, page));
    }
    case 'node':
    case 'python':
    case 'pip':
      return words
        .filter(word => /^[\w.-]+(\/[\w.-]+)+$/.test(word))
        .every(path => isThere(path, page));
    default:
      return true;
  }
}

function scriptsOf(folder: string): string[] {
  const manifest = join(root, folder, 'package.json');
  if (!existsSync(manifest)) return [];
  return Object.keys(JSON.parse(readFileSync(manifest, 'utf8')).scripts ?? {});
}

function isProgram(name: string): boolean {
  if (existsSync(join(root, 'node_modules/.bin', name))) return true;
  return files
    .filter(path => /^packages\/[^/]+\/package.json$/.test(path))
    .some(path => JSON.parse(readFileSync(join(root, path), 'utf8')).bin?.[name]);
}

test('the README of the callbacks explains each reason of UpdateOpsCheck', () => {
  const folder = join(root, 'packages/callbacks');
  const source = readFileSync(join(folder, 'src/update_ops_check/violations.ts'), 'utf8');
  const [union] = /type ViolationReason =([^;]+);/.exec(source)!;
  const reasons = Array.from(union.matchAll(/'([^']+)'/g), ([, reason]) => reason);
  const readme = readFileSync(join(folder, 'README.md'), 'utf8');
  expect(reasons.length).toBeGreaterThan(0);
  expect(reasons.filter(reason => !readme.includes(`\n| ${reason} `))).toEqual([]);
});

test('what is not there is noticed', () => {
  const markdown = [
    '[a](b.md) [a](README.md#no) `packages/no.ts` `no_such_file.ts` `--no-such-option`',
    '```sh',
    'npm run nothing',
    'npm test -w packages/no',
    'npx nothing',
    'npx jest packages/no.test.ts',
    'npm start -- --nothing-of-this-kind',
    '```',
  ];
  const lines = missingIn(parsePage('page.md', markdown.join('\n')));
  expect(lines.map(line => line.slice('page.md:'.length))).toEqual([
    '1: b.md',
    '1: README.md#no',
    '1: packages/no.ts',
    '1: no_such_file.ts',
    '1: --no-such-option',
    '3: npm run nothing',
    '4: npm test -w packages/no',
    '5: npx nothing',
    '6: npx jest packages/no.test.ts',
    '7: npm start -- --nothing-of-this-kind',
  ]);
});
