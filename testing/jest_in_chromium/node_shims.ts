/**
 * What Jest's own packages use of Node's modules other than `path`, for a page. The bundle of
 * the page has it instead of them, and instead of `graceful-fs`.
 */

/** One test runs at a time, so what is current needs no tracking through promises. */
export class AsyncLocalStorage<T> {
  private store?: T;

  getStore() {
    return this.store;
  }

  async run<R>(store: T, callback: () => Promise<R>): Promise<R> {
    const outer = this.store;
    this.store = store;
    try {
      return await callback();
    } finally {
      this.store = outer;
    }
  }
}

/** Of node:assert, which the tests in a page do not have. */
export class AssertionError extends Error {}

/** Of node:module. */
export const builtinModules: string[] = [];

/** Of graceful-fs. Jest shows no source in a stack then, as with any file that is not there. */
export function readFileSync(file: string): never {
  throw new Error(`a page has no file ${file}`);
}

/** Of node:util/types. */
export const isNativeError = (value: unknown) => value instanceof Error;

const conversions: Record<string, (value: unknown) => string> = {
  s: String,
  d: value => String(Number(value)),
  i: value => String(parseInt(String(value), 10)),
  f: value => String(parseFloat(String(value))),
};

/** Of node:util: fills in one placeholder of the title of a test, as `test.each` does. */
export function format(title: string, value: unknown): string {
  return title.replace(/%([sdif])/, (_, type: string) => conversions[type](value));
}
