/** Measures all that is asked for on one backend. */
import {AbsentError} from '@resbatchnorm/tools-common/device';

import {openNodeChannel, openPageChannel} from './channels.js';
import {measureDistributed} from './distributed.js';
import type {Libraries} from './libraries.js';
import {
  isWithLibraries,
  measureAccuracy,
  measureCallbacks,
  measureDispatch,
  measureInference,
  measureMemory,
  type Measurement,
  measureNorms,
  measureSteps,
  whyNoNetworks,
} from './measure_parts.js';
import type {Options, PartName} from './options.js';
import type {BackendReport} from './report.js';
import type {BackendName, Channel} from './requests.js';

export interface BackendRun {
  options: Pick<Options, 'shape' | 'only' | 'quick'>;
  libraries: Pick<Libraries, 'on'>;
  onStage(text: string): void;
  /** Starts what measures on the backend. */
  openChannel?(backend: BackendName): Channel | Promise<Channel>;
}

/** Never rejects: what fails is in the report. */
export async function measureBackend(
  backend: BackendName,
  run: BackendRun,
): Promise<BackendReport> {
  const report: BackendReport = {
    backend,
    versions: {},
    notes: [],
    failures: [],
    norms: [],
    dispatch: [],
    inference: [],
    steps: [],
    accuracy: [],
  };
  const {only, shape} = run.options;
  const includes = (...parts: PartName[]) => parts.some(part => only.includes(part));
  try {
    if (includes('norm', 'accuracy', 'dispatch', 'inference')) {
      await measureIn(run, report, {forNetworks: false}, async measurement => {
        if (includes('norm')) await measureNorms(measurement, shape);
        if (includes('accuracy')) await measureAccuracy(measurement, shape);
        if (includes('dispatch')) await measureDispatch(measurement);
        if (includes('inference')) await measureInference(measurement);
      });
    }
    // A process of its own: on wasm, training takes kernels that change others' times.
    if (includes('step', 'memory', 'callbacks')) {
      await measureIn(run, report, {forNetworks: true}, async measurement => {
        const why = whyNoNetworks(backend, report.device!);
        if (why !== undefined) {
          report.notes.push(why);
          return;
        }
        if (includes('step')) await measureSteps(measurement);
        if (includes('memory')) await measureMemory(measurement);
        if (includes('callbacks')) await measureCallbacks(measurement);
      });
    }
    // Its processes open the backend for themselves.
    if (includes('distributed') && backend === 'tensorflow') {
      const stage = (text: string) => run.onStage(`${backend}: ${text}`);
      report.distributed = await measureDistributed(run.options.quick, stage);
    }
  } catch (error) {
    const {message} = error as Error;
    if (error instanceof AbsentError) report.absent = message;
    else report.failures.push(message.split('\n')[0]);
  }
  return report;
}

function startChannel(backend: BackendName): Channel | Promise<Channel> {
  return backend.startsWith('chromium') ? openPageChannel() : openNodeChannel(backend);
}

/** Opens the backend, and closes it afterwards. */
async function measureIn(
  {options, libraries, onStage, openChannel = startChannel}: BackendRun,
  report: BackendReport,
  {forNetworks}: {forNetworks: boolean},
  measure: (measurement: Measurement) => Promise<void>,
): Promise<void> {
  const {backend} = report;
  onStage(`${backend}: starting`);
  const channel = await openChannel(backend);
  try {
    const opened = await channel.ask('open', {backend, forNetworks});
    const {device, notes} = opened;
    Object.assign(report, opened, {notes: [...new Set([...report.notes, ...notes])]});
    await measure({
      channel,
      // A GPU made of software is compared with nothing: it would be no comparison.
      libraries:
        device.kind === 'software gpu' || !isWithLibraries(options.only)
          ? []
          : await libraries.on(device.kind),
      report,
      quick: options.quick,
      onStage,
    });
  } finally {
    await channel.close();
  }
}
