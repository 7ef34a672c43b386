/** What ResBatchNorm has to reach, and whether it did: each a ratio within one run. */
import {isSameShape, shapeName} from './cases.js';
import type {BackendReport, NormTimes, Target} from './report.js';
import type {BackendName} from './requests.js';

/** Of what was measured. */
export function targetsOf(backends: readonly BackendReport[]): Target[] {
  return backends.flatMap(report => [
    ...normTargets(report),
    ...stepTargets(report),
    ...memoryTargets(report),
    ...callbackTargets(report),
    ...accuracyTargets(report),
  ]);
}

interface Faster {
  backend: BackendName;
  /** Absent: each shape. */
  shape?: number[];
  ratio: 'builtIn / ours' | 'keras / ours';
  target: number;
}

const faster: Faster[] = [
  {backend: 'tensorflow', shape: [16, 56, 56, 64], ratio: 'builtIn / ours', target: 5},
  {backend: 'tensorflow', ratio: 'keras / ours', target: 1},
  {backend: 'cpu', ratio: 'builtIn / ours', target: 60},
  {backend: 'wasm', shape: [32, 32, 32, 16], ratio: 'builtIn / ours', target: 12},
  {backend: 'chromium-webgl', ratio: 'builtIn / ours', target: 4},
  {backend: 'chromium-webgpu', ratio: 'builtIn / ours', target: 4},
];

function normTargets({backend, norms}: BackendReport): Target[] {
  return faster
    .filter(target => target.backend === backend)
    .flatMap(target =>
      norms
        .filter(times => isMeant(target, times))
        .map(({shape, ratios}) =>
          atLeast(target.target, {
            what: `${backend}, ${shapeName(shape)}, forward + backward: ${target.ratio}`,
            measured: ratios[target.ratio],
          }),
        ),
    );
}

function isMeant({shape, ratio}: Faster, times: NormTimes): boolean {
  return (
    times.direction === 'forward + backward' &&
    ratio in times.ratios &&
    (!shape || isSameShape(shape, times.shape))
  );
}

function stepTargets({backend, steps}: BackendReport): Target[] {
  if (backend !== 'tensorflow') return [];
  return steps
    .filter(({network}) => network.name === 'ResNet-20')
    .map(({ratios}) =>
      atMost(0.5, {
        what: 'tensorflow, step of ResNet-20: ours / builtIn',
        measured: 1 / ratios['builtIn / ours'],
      }),
    );
}

function memoryTargets({backend, memory}: BackendReport): Target[] {
  if (!memory) return [];
  return [
    atMost(0.55, {
      what: `${backend}, peak numBytes of a step of ${memory.network.name}: ours / builtIn`,
      measured: memory.ratios['ours / builtIn, numBytes'],
    }),
  ];
}

function callbackTargets({backend, callbacks}: BackendReport): Target[] {
  if (!callbacks) return [];
  return [
    atMost(0.03, {
      what: `${backend}, callbacks' overhead on a step of ${callbacks.network.name}`,
      measured: callbacks.ratios['all / step'],
    }),
  ];
}

function accuracyTargets({backend, accuracy}: BackendReport): Target[] {
  const errors = accuracy.flatMap(({shape, errors}) =>
    Object.entries(errors.ours).map(([quantity, error]) => ({shape, quantity, error})),
  );
  if (errors.length === 0) return [];
  const worst =
    errors.find(({error}) => Number.isNaN(error)) ??
    errors.reduce((a, b) => (a.error >= b.error ? a : b));
  return [
    atMost(2e-6, {
      what: `${backend}, largest error to float64: ${worst.quantity} of ${shapeName(worst.shape)}`,
      measured: worst.error,
    }),
  ];
}

type Measured = Pick<Target, 'what' | 'measured'>;

// NaN reaches nothing.
function atLeast(target: number, {what, measured}: Measured): Target {
  return {what, relation: '≥', target, measured, reached: measured >= target};
}

function atMost(target: number, {what, measured}: Measured): Target {
  return {what, relation: '≤', target, measured, reached: measured <= target};
}
