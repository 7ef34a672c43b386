/**
 * What this package uses of Node to work with files. A bundle for the browser gets no_files.ts
 * in the place of this file: see "browser" in package.json, and scripts/check_packages.mjs.
 */
export {createHash, randomUUID} from 'node:crypto';
export {
  appendFile,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  truncate,
  writeFile,
} from 'node:fs/promises';
export {hostname} from 'node:os';
export {dirname, join, resolve} from 'node:path';
