/**
 * What a bundle for the browser has in the place of node_files.ts: all but what event files
 * need, for which it has no_event_files.ts.
 */
import {ValueError} from './errors.js';

function unavailable(): never {
  throw new ValueError(
    'ModelCheckpoint and resume need the file system, which a browser does not give. Use ' +
      'them in Node.',
  );
}

export {
  unavailable as createHash,
  unavailable as dirname,
  unavailable as join,
  unavailable as mkdir,
  unavailable as mkdtemp,
  unavailable as open,
  unavailable as randomUUID,
  unavailable as readdir,
  unavailable as readFile,
  unavailable as rename,
  unavailable as resolve,
  unavailable as rm,
  unavailable as rmdir,
};
