/** The tables of docs/parity_tests.md name tests that are there. */
import {readFileSync} from 'node:fs';
import {join} from 'node:path';

import ts from 'typescript';

const docs = join(__dirname, '../../docs');
const table = readFileSync(join(docs, 'parity_tests.md'), 'utf8');

/** The paths that the labels of the links stand for. */
const paths = new Map(
  Array.from(table.matchAll(/^\[(\w+)\]: (.+)$/gm), ([, label, path]) => [label, path]),
);

/** The cells of all rows, headings left out. */
const rows = table
  .split('\n')
  .filter(line => line.startsWith('| ') && !/^\| (their test|what|-+) +\|/.test(line))
  .map(line => line.split(' | ').map(cell => cell.replace(/^\| | +\|$/g, '').trim()));

/** The tests of a cell: `[label]`, then the names of tests in that file. */
function testsIn(cell: string): {label: string; name: string}[] {
  let label = '';
  return Array.from(cell.matchAll(/\[(\w+)\]|`([^`]+)`/g)).flatMap(match => {
    label = match[1] ?? label;
    return match[2] === undefined ? [] : [{label, name: match[2]}];
  });
}

/** The titles of all tests of a source, each after those of the blocks around it. */
function titlesOf(source: string): string[] {
  const titles: string[] = [];
  const visit = (node: ts.Node, around: string[]) => {
    const block = ts.isCallExpression(node) ? titled(node) : null;
    const titlesHere = block === null ? around : [...around, block.title];
    if (block?.kind === 'test') titles.push(titlesHere.join(' › '));
    ts.forEachChild(node, child => visit(child, titlesHere));
  };
  visit(ts.createSourceFile('', source, ts.ScriptTarget.Latest), []);
  return titles;
}

/** What `test(title, …)`, `describe.each(cases)(title, …)` and their like are called. */
function titled(call: ts.CallExpression): {kind: string; title: string} | null {
  const [title] = call.arguments;
  let callee: ts.Node = call.expression;
  while (ts.isCallExpression(callee) || ts.isPropertyAccessExpression(callee)) {
    callee = callee.expression;
  }
  if (!ts.isIdentifier(callee) || !['test', 'describe'].includes(callee.text))
    return null;
  return title !== undefined && ts.isStringLiteralLike(title)
    ? {kind: callee.text, title: title.text}
    : null;
}

/**
 * Whether a name is that of a test of a source, its placeholders filled in or not. What they
 * are filled in with must be in the source, too.
 */
function isIn(source: string, name: string): boolean {
  return titlesOf(source).some(title => {
    const fixed = title.split(/%[sjp]|\$\w+/);
    const escaped = fixed.map(part => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    const match = new RegExp(`^${escaped.join('(.+?)')}$`).exec(name);
    return match !== null && match.slice(1).every(filled => source.includes(filled));
  });
}

interface GoldenFile {
  source: string;
  cases: {name: string}[];
}

function isInGolden(json: string, name: string): boolean {
  const {source, cases} = JSON.parse(json) as GoldenFile;
  return cases.some(golden => name === `${source} › ${golden.name}`);
}

const read = (path: string) => readFileSync(join(docs, path), 'utf8');

test.each(rows)('%s is answered', (...cells) => {
  expect(cells).toHaveLength(3);
  expect(testsIn(cells[2]).length).toBeGreaterThan(0);
});

const named = new Map<string, Set<string>>();
for (const {label, name} of rows.flatMap(cells => testsIn(cells[2]))) {
  named.set(label, (named.get(label) ?? new Set()).add(name));
}

test.each(Array.from(named.keys()))('the tests of [%s] are there', label => {
  const path = paths.get(label)!;
  const file = read(path);
  const isThere = path.endsWith('.json') ? isInGolden : isIn;
  const missing = Array.from(named.get(label)!).filter(name => !isThere(file, name));
  expect(missing).toEqual([]);
});

test('a test that is not there is noticed', () => {
  const source = `
    const cases = ['one', 'two'];
    describe('block', () => {
      test.each(cases)('case %s', () => {});
    });
    test('alone (1)', () => {});
  `;
  const names = ['block › case one', 'block › case %s', 'alone (1)'];
  const absent = ['case one', 'block › case three', 'block', 'alone 1', 'alone (1) too'];
  expect(names.filter(name => isIn(source, name))).toEqual(names);
  expect(absent.filter(name => isIn(source, name))).toEqual([]);
});
