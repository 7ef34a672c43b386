/** A run: measures each backend in turn, writes the files and prints the tables. */
import {mkdir, open, rm, writeFile} from 'node:fs/promises';
import {availableParallelism} from 'node:os';
import {join} from 'node:path';

import ora from 'ora';

import {chartOf} from './chart.js';
import {describeMachine, versionsHere} from './machine.js';
import {measureBackend} from './measure_backend.js';
import {type Options, UsageError} from './options.js';
import {Peers} from './libraries.js';
import {type BackendReport, type Report, toJson} from './report.js';
import {reportTables} from './tables.js';
import {targetsOf} from './targets.js';

/** @throws UsageError if the files cannot be written. */
export async function run(options: Options): Promise<'done' | 'failed'> {
  const files = await makeFiles(options.out);
  setThreads();
  const spinner = ora({discardStdin: false});
  const report = await measure(options, stage => spinner.start(stage));
  spinner.stop();
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
  const peers = new Peers(python);
  const backends: BackendReport[] = [];
  try {
    for (const name of backend) {
      const options = {shape, only, quick};
      backends.push(await measureBackend(name, {options, peers, onStage}));
    }
  } finally {
    await peers.close();
  }
  return {
    date,
    machine: describeMachine(),
    versions: {...versionsHere(), ...(await peers.versions())},
    options: {backend, shape, only, quick},
    backends,
    notes: peers.notes,
    targets: targetsOf(backends),
  };
}

/** How many threads TensorFlow and PyTorch have, in all the processes that start here. */
function setThreads(): void {
  process.env.TF_NUM_INTRAOP_THREADS ??= String(availableParallelism());
  process.env.TF_NUM_INTEROP_THREADS ??= process.env.TF_NUM_INTRAOP_THREADS;
}

/** Now, not when the work is done. Leaves earlier files as they are. */
async function makeFiles(directory: string): Promise<Record<'json' | 'svg', string>> {
  const files = {json: join(directory, 'bench.json'), svg: join(directory, 'bench.svg')};
  try {
    await mkdir(directory, {recursive: true});
    for (const file of Object.values(files)) await (await open(file, 'a')).close();
  } catch (error) {
    const {message} = error as Error;
    throw new UsageError(`--out ${directory} cannot be written: ${message}`);
  }
  return files;
}
