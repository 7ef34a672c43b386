/** The code on all pages has the right types, runs, and prints what the pages say. */
import {mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import {join} from 'node:path';

import {parsePage, readPages} from './markdown';
import {nameOf, programsOf, root, run, typeErrors, unlikeThePage} from './page_program';

const pages = readPages(root);
const programs = pages.flatMap(page => programsOf(page, 'run'));

let folder: string;
beforeAll(() => {
  mkdirSync(join(root, 'out'), {recursive: true});
  folder = mkdtempSync(join(root, 'out/docs-'));
});
afterAll(() => rmSync(folder, {recursive: true}));

test('the types of all code are right', () => {
  expect(typeErrors(pages.flatMap(page => programsOf(page, 'all')))).toEqual([]);
});

test.each(programs.map(program => [nameOf(program), program] as const))(
  'the code from %s on runs, and prints what the page says',
  (_, program) => {
    expect(unlikeThePage(program, run(program, folder))).toEqual([]);
  },
);

test('code that is not run says why', () => {
  const known = /^(|new-program|no-run: \w.*)$/;
  const unknown = pages.flatMap(({path, blocks}) =>
    blocks.filter(({info}) => !known.test(info)).map(({line}) => `${path}:${line}`),
  );
  expect(unknown).toEqual([]);
});

describe('the programs of a page', () => {
  const page = (...blocks: string[]) => parsePage('page.md', blocks.join('\n'));
  const first = [
    '# Page',
    '```ts',
    "import {join} from 'node:path';",
    "const a = join('b', 'c');",
    'console.log(a);',
    '```',
  ];

  test('a block sees the names of those before it, and may declare them anew', () => {
    const second = [
      '```ts',
      'console.log(a);',
      '```',
      '```ts',
      'const a = 5;',
      'console.log(a);',
      '```',
    ];
    const [program] = programsOf(page(...first, ...second), 'run');
    expect(Array.from(run(program, folder))).toEqual([
      [2, 'b/c\n'],
      [7, 'b/c\n'],
      [10, '5\n'],
    ]);
  });

  test('errors have the line of the page', () => {
    const second = ['```ts new-program', 'console.log(a);', '```'];
    const third = [
      '```js new-program',
      "import {no} from '@resbatchnorm/layer/no';",
      'no();',
      '```',
    ];
    const all = programsOf(page(...first, ...second, ...third), 'run');
    expect(typeErrors(all)).toEqual([
      "page.md:8: Cannot find name 'a'.",
      expect.stringContaining("page.md:1: Cannot find module '@resbatchnorm/layer/no'"),
    ]);
    expect(() => run(all[1], folder)).toThrow(/page.md:8[^]*a is not defined/);
    expect(() => run(all[2], folder)).toThrow('@resbatchnorm/layer/no');
  });

  test('text after code is what it prints', () => {
    const second = [
      '```text',
      'b/…',
      '```',
      '```ts',
      'console.log(7);',
      '```',
      '```text',
      '8',
      '```',
    ];
    const [program] = programsOf(page(...first, ...second), 'run');
    expect(unlikeThePage(program, run(program, folder))).toEqual([
      'page.md:13: the code above prints\n7',
    ]);
  });
});
