// Leads stacks of bundles in a page back to the sources.
import {SourceMap} from 'node:module';

/** Whether a line of a stack is of the way to the test, and not of the test. */
const isCaller = line =>
  /^\s+at .*(\/testing\/chromium\/(page|node_shims)\.ts:|<anonymous>:\d)/.test(line);

/**
 * A function that puts the file and line of the source in the place of those of the bundle, in
 * the stack of an error.
 */
export function sourcePositions(files) {
  const maps = new Map();
  const mapOf = pathname => {
    if (!maps.has(pathname)) {
      const text = files.get(`${pathname}.map`);
      maps.set(pathname, text && new SourceMap(JSON.parse(text)));
    }
    return maps.get(pathname);
  };
  const toSource = line =>
    line.replace(
      /https?:\/\/127\.0\.0\.1:\d+(\/[^\s:)]+):(\d+):(\d+)/g,
      (position, pathname, line, column) => {
        const entry = mapOf(pathname)?.findEntry(line - 1, column - 1);
        if (entry?.originalSource === undefined) return position;
        // Sources are relative to the root of the file system.
        return `/${entry.originalSource}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
      },
    );
  return stack =>
    stack
      .split('\n')
      .map(toSource)
      .filter(line => !isCaller(line))
      .join('\n');
}
