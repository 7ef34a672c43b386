/** The Python package `tensorboard`, if there is a Python that has it. */
import {spawnSync} from 'node:child_process';
import {join} from 'node:path';

import {readSetupRecord} from '../../native/src/setup_record';
import {findTfjsNode} from '../../native/src/tfjs_node';
import type {Histogram} from '../src';

export interface ReadValue {
  tag: string;
  plugin: string;
  dtype: string;
  shape: number[];
  /** Nested as the shape says; a value that is not finite is a string. */
  values: unknown;
}

export interface ReadEvent {
  step: number;
  wallTime: number;
  version: string;
  values: ReadValue[];
}

interface Request {
  files: string[];
  folders: string[];
  histograms: Record<string, number[]>;
}

export interface Reply {
  events: Record<string, ReadEvent[]>;
  tags: Record<string, Partial<Record<'scalars' | 'histograms', string[]>>>;
  histograms: Record<string, Histogram>;
}

/**
 * A Python with `tensorboard`: that of the environment which `resbatchnorm-native setup` made,
 * or python3. Undefined if neither has it.
 */
export function findTensorBoard(): string | undefined {
  const addonFile = findTfjsNode()?.addonFile;
  const pythons = [addonFile && readSetupRecord(addonFile)?.python, 'python3'];
  const find = 'import importlib.util as u; assert u.find_spec("tensorboard")';
  return pythons.find(
    (python): python is string =>
      !!python && spawnSync(python, ['-c', find]).status === 0,
  );
}

/** What TensorBoard reads from the files, and NumPy makes of the values. */
export function askTensorBoard(python: string, request: Request): Reply {
  const script = join(__dirname, 'read_events.py');
  const {status, stdout, stderr} = spawnSync(python, [script], {
    input: JSON.stringify(request),
    encoding: 'utf8',
    maxBuffer: 1e9,
  });
  if (status !== 0) throw new Error(`${python} ${script} failed: ${stderr}`);
  return JSON.parse(stdout);
}
