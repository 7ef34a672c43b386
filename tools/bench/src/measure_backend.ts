/** Measures all that is asked for on one backend. */
import {type BackendName, runsInChromium} from './backends.js';
import {
  measureCallbacks,
  measureMemory,
  measureSteps,
  whyNoNetworks,
} from './measure_networks.js';
import {measureAccuracy, measureNorms} from './measure_norms.js';
import type {Measurement} from './measurement.js';
import {openNodeChannel} from './node_channel.js';
import type {Options, PartName} from './options.js';
import {openPageChannel} from './page_channel.js';
import type {Peers} from './libraries.js';
import type {BackendReport} from './report.js';
import {AbsentError, type Channel} from './requests.js';

export interface BackendRun {
  options: Pick<Options, 'shape' | 'only' | 'quick'>;
  peers: Pick<Peers, 'on'>;
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
    steps: [],
    accuracy: [],
  };
  const {only, shape} = run.options;
  const includes = (...parts: PartName[]) => parts.some(part => only.includes(part));
  try {
    if (includes('norm', 'accuracy')) {
      await measureIn(run, report, {forNetworks: false}, async measurement => {
        if (includes('norm')) await measureNorms(measurement, shape);
        if (includes('accuracy')) await measureAccuracy(measurement, shape);
      });
    }
    // A process of its own: on wasm, whole networks take kernels that change others' times.
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
  } catch (error) {
    const {message} = error as Error;
    if (error instanceof AbsentError) report.absent = message;
    else report.failures.push(message.split('\n')[0]);
  }
  return report;
}

function startChannel(backend: BackendName): Channel | Promise<Channel> {
  return runsInChromium(backend) ? openPageChannel() : openNodeChannel(backend);
}

/** Opens the backend, and closes it afterwards. */
async function measureIn(
  {options, peers, onStage, openChannel = startChannel}: BackendRun,
  report: BackendReport,
  {forNetworks}: {forNetworks: boolean},
  measure: (measurement: Measurement) => Promise<void>,
): Promise<void> {
  const {backend} = report;
  onStage(`${backend}: starting`);
  const channel = await openChannel(backend);
  try {
    const {device, versions, notes} = await channel.ask('open', {backend, forNetworks});
    Object.assign(report, {
      device,
      versions,
      notes: [...new Set([...report.notes, ...notes])],
    });
    await measure({
      channel,
      // A GPU made of software is compared with nothing: it would be no comparison.
      peers: device.kind === 'software gpu' ? [] : await peers.on(device.kind),
      report,
      quick: options.quick,
      onStage,
    });
  } finally {
    await channel.close();
  }
}
