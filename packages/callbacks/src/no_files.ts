/** What a bundle for the browser has in the place of node_files.ts. */
import {ValueError} from './errors.js';

function unavailable(): never {
  throw new ValueError(
    'ModelCheckpoint, resume and event files need the file system, which a browser does ' +
      'not give. Use them in Node.',
  );
}

export {
  unavailable as appendFile,
  unavailable as createHash,
  unavailable as hostname,
  unavailable as join,
  unavailable as mkdir,
  unavailable as mkdtemp,
  unavailable as open,
  unavailable as readdir,
  unavailable as readFile,
  unavailable as rename,
  unavailable as resolve,
  unavailable as rm,
  unavailable as rmdir,
  unavailable as truncate,
  unavailable as writeFile,
};
