import {existsSync} from 'node:fs';

import {additionsSha256} from './addon_build.js';
import {NativeError} from './native_error.js';
import {prepareProcess} from './prepare_process.js';
import {readSetupRecord} from './setup_record.js';
import {requireTfjsNode} from './tfjs_node.js';

/**
 * The addon that loadTensorFlow will load, for those who call what `setup` built into it. The
 * process is ready to load it.
 *
 * @throws NativeError if `setup` did not build it, or a `setup` of another version did.
 */
export function builtAddonFile(): string {
  const {name, addonFile} = requireTfjsNode();
  const remedy = 'Run `npx resbatchnorm-native setup`.';
  if (!existsSync(addonFile))
    throw new NativeError(`${name} has no native addon.`, remedy);
  const record = readSetupRecord(addonFile);
  if (!record) {
    throw new NativeError(`The addon of ${name} is not one that setup built.`, remedy);
  }
  if (record.additionsSha256 !== additionsSha256()) {
    throw new NativeError(
      `The addon of ${name} was built by another version of @resbatchnorm/native.`,
      remedy,
    );
  }
  prepareProcess();
  return addonFile;
}
