/** Where a progress bar is written to. */

/** A part of Node's streams; `isTTY` says that it is a terminal, `columns` how wide. */
export interface OutputStream {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

// Node's types do not know that it may be missing.
declare const process: {stdout?: OutputStream} | undefined;

/** The program's standard output; in a browser its console, which takes whole lines. */
export function standardOutput(): OutputStream {
  const stdout = typeof process === 'undefined' ? undefined : process.stdout;
  return stdout ?? {write: text => console.log(text.trimEnd())};
}
