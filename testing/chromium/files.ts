/** The files that pages can load: content by path, which begins with a slash. */
export type Files = ReadonlyMap<string, string>;
