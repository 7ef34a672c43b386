/** What `setup` notes beside the addon that it put in place. */
import {createHash} from 'node:crypto';
import {existsSync, readFileSync} from 'node:fs';
import {rename, writeFile} from 'node:fs/promises';
import {dirname, join} from 'node:path';

import type {Environment} from './environment.js';
import type {Device} from './platform.js';

export interface SetupRecord extends Environment {
  device: Device;
  /** The --python that was asked for, if any. */
  requestedPython?: string;
  tfjsNodeVersion: string;
  /** Of what this package added to the addon. */
  additionsSha256: string;
  /** Of the addon: a record of another one says nothing. */
  addonSha256: string;
}

/** Undefined if `setup` did not build this addon. */
export function readSetupRecord(addonFile: string): SetupRecord | undefined {
  const file = recordFile(addonFile);
  if (!existsSync(file) || !existsSync(addonFile)) return undefined;
  try {
    const record: SetupRecord = JSON.parse(readFileSync(file, 'utf8'));
    return record.addonSha256 === sha256(addonFile) ? record : undefined;
  } catch {
    return undefined;
  }
}

export async function writeSetupRecord(
  addonFile: string,
  record: Omit<SetupRecord, 'addonSha256'>,
): Promise<void> {
  const file = recordFile(addonFile);
  const content = {...record, addonSha256: sha256(addonFile)};
  await writeFile(`${file}.${process.pid}`, `${JSON.stringify(content, null, 2)}\n`);
  await rename(`${file}.${process.pid}`, file);
}

function recordFile(addonFile: string): string {
  return join(dirname(addonFile), 'resbatchnorm-native.json');
}

function sha256(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}
