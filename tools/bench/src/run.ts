/** A run: measures each backend in turn, writes the files and prints the tables. */
import {rm, writeFile} from 'node:fs/promises';
import {availableParallelism, cpus, totalmem} from 'node:os';
import {join} from 'node:path';

import {checkWritable} from '@resbatchnorm/tools-common/command_line';
import {Progress, toJson} from '@resbatchnorm/tools-common/report';
import {version_core} from '@tensorflow/tfjs-core';

import {chartOf} from './chart.js';
import {Libraries} from './libraries.js';
import {measureBackend} from './measure_backend.js';
import type {Options} from './options.js';
import type {BackendReport, Report} from './report.js';
import {reportTables} from './tables.js';
import {targetsOf} from './targets.js';

/** @throws UsageError if the files cannot be written. */
export async function run(options: Options): Promise<'done' | 'failed'> {
  const {out} = options;
  const files = {json: join(out, 'bench.json'), svg: join(out, 'bench.svg')};
  await checkWritable(out, {folder: out, files: Object.values(files)});
  setEnvironment();
  const progress = new Progress(process.stderr);
  const report = await measure(options, stage => progress.show(stage));
  progress.clear();
  const json = toJson(report);
  await writeFile(files.json, json);
  const chart = await chartOf(report);
  if (chart !== undefined) await writeFile(files.svg, chart);
  // An empty one of this run, or one of another run, which would not fit.
  else await rm(files.svg);
  process.stdout.write(
    options.json ? json : `\n${reportTables(report)}\n\nReport: ${files.json}\n`,
  );
  return report.backends.some(({failures}) => failures.length > 0) ? 'failed' : 'done';
}

async function measure(
  {backend, shape, only, quick, python}: Options,
  onStage: (text: string) => void,
): Promise<Report> {
  const date = new Date().toISOString();
  const libraries = new Libraries(python);
  const backends: BackendReport[] = [];
  try {
    for (const name of backend) {
      const options = {shape, only, quick};
      backends.push(await measureBackend(name, {options, libraries, onStage}));
    }
  } finally {
    await libraries.close();
  }
  return {
    date,
    machine: describeMachine(),
    versions: {...versionsHere(), ...(await libraries.versions())},
    usesOneDnn: await libraries.usesOneDnn(),
    options: {backend, shape, only, quick},
    backends,
    notes: libraries.notes,
    targets: targetsOf(backends),
  };
}

/**
 * The same threads for TensorFlow and PyTorch in all the processes that start here, and oneDNN
 * in all of them, unless the user has it off.
 */
function setEnvironment(): void {
  const {env} = process;
  env.TF_NUM_INTRAOP_THREADS ??= String(availableParallelism());
  env.TF_NUM_INTEROP_THREADS ??= env.TF_NUM_INTRAOP_THREADS;
  env.TF_ENABLE_ONEDNN_OPTS ??= '1';
}

/** What the numbers were measured on, and with. */
function describeMachine(): Record<string, string | number> {
  return {
    processor: cpus()[0]?.model ?? 'unnamed',
    cores: availableParallelism(),
    'memory, GiB': Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
  };
}

function versionsHere(): Record<string, string> {
  return {Node: process.versions.node, 'TensorFlow.js': version_core};
}
