/**
 * What the tests need of Markdown: its code blocks, links, headings and inline code, each with the
 * line on which it stands. A line belongs to a code block, or is prose; HTML comments are read like
 * all else, so that a page can hold code that its readers do not see.
 */
import {readdirSync, readFileSync} from 'node:fs';
import {join, relative} from 'node:path';

export interface CodeBlock {
  /** The first word after the fence: `ts`, `sh`, … */
  language: string;
  /** What follows it, such as `no-run: needs a GPU`. */
  info: string;
  code: string;
  /** The line of the opening fence, counted from 1, as all lines here. */
  line: number;
}

export interface Located {
  text: string;
  line: number;
}

export interface Page {
  /** Relative to the root of the repository. */
  path: string;
  lineCount: number;
  blocks: CodeBlock[];
  /** The targets of all links and images. */
  links: Located[];
  inlineCode: Located[];
  /** The fragments by which links reach the headings, as GitHub makes them. */
  anchors: string[];
}

const ignoredFolders = new Set([
  'node_modules',
  'dist',
  'out',
  'coverage',
  '.git',
  '.nx',
]);

/** The paths of all files below a folder, but for what is built or installed. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, {withFileTypes: true})
    .filter(({name}) => !ignoredFolders.has(name))
    .flatMap(entry => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? filesBelow(path) : [path];
    });
}

export function readPages(root: string): Page[] {
  return filesBelow(root)
    .filter(path => path.endsWith('.md'))
    .map(path => parsePage(relative(root, path), readFileSync(path, 'utf8')));
}

export function parsePage(path: string, markdown: string): Page {
  const lines = markdown.split('\n');
  const blocks: CodeBlock[] = [];
  const prose: Located[] = [];
  for (let i = 0; i < lines.length; ++i) {
    const fence = /^ *(`{3,})(\w*) *(.*)$/.exec(lines[i]);
    if (fence === null) {
      prose.push({text: lines[i], line: i + 1});
      continue;
    }
    const end = lines.findIndex((line, j) => j > i && line.trim() === fence[1]);
    if (end < 0) throw new Error(`${path}:${i + 1}: a code block without an end`);
    const code = lines.slice(i + 1, end).join('\n');
    blocks.push({language: fence[2], info: fence[3], code, line: i + 1});
    i = end;
  }
  const inlineCode = all(/(?<!`)`([^`]+)`(?!`)/g, prose);
  // A link in inline code is an example of one.
  const withoutCode = prose.map(({text, line}) => ({
    text: text.replace(/`[^`]+`/g, '`'),
    line,
  }));
  return {
    path,
    lineCount: lines.length,
    blocks,
    links: [
      ...all(/\]\(([^)\s]+)\)/g, withoutCode),
      ...all(/^\[[^\]]+\]: (\S+)$/g, withoutCode),
      ...all(/(?:src|href)="([^"]+)"/g, withoutCode),
    ],
    inlineCode,
    anchors: anchorsOf(prose),
  };
}

function all(pattern: RegExp, lines: Located[]): Located[] {
  return lines.flatMap(({text, line}) =>
    Array.from(text.matchAll(pattern), match => ({text: match[1], line})),
  );
}

function anchorsOf(prose: Located[]): string[] {
  const uses = new Map<string, number>();
  return all(/^#{1,6} +(.+?) *$/g, prose).map(({text}) => {
    const anchor = text
      .toLowerCase()
      .replace(/\[([^\]]+)\]\([^)]*\)/g, '$1')
      .replace(/[^\p{L}\p{N}\-_ ]/gu, '')
      .replaceAll(' ', '-');
    const use = uses.get(anchor) ?? 0;
    uses.set(anchor, use + 1);
    return use === 0 ? anchor : `${anchor}-${use}`;
  });
}
