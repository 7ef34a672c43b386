/** What ResBatchNorm has to reach, and whether it did: each a ratio within one run. */
import {isSameShape, networkTitle, shapeName, smallShape} from './cases.js';
import {type BackendReport, type NormTimes, type Target, threeDigits} from './report.js';
import type {BackendName} from './requests.js';

/** Of what was measured. */
export function targetsOf(backends: readonly BackendReport[]): Target[] {
  return backends.flatMap(report => [
    ...normTargets(report),
    ...libraryTargets(report),
    ...dispatchTargets(report),
    ...inferenceTargets(report),
    ...stepTargets(report),
    ...memoryTargets(report),
    ...callbackTargets(report),
    ...distributedTargets(report),
    ...accuracyTargets(report),
  ]);
}

interface TimesFaster {
  backend: BackendName;
  /** Absent: each shape. */
  shape?: number[];
  /** Times as fast as the built-in. */
  target: number;
}

const timesFaster: TimesFaster[] = [
  {backend: 'tensorflow', shape: [16, 56, 56, 64], target: 5},
  {backend: 'cpu', target: 60},
  {backend: 'wasm', shape: [32, 32, 32, 16], target: 12},
  {backend: 'chromium-webgl', target: 4},
  {backend: 'chromium-webgpu', target: 4},
];

function normTargets({backend, norms}: BackendReport): Target[] {
  return timesFaster
    .filter(target => target.backend === backend)
    .flatMap(({shape, target}) =>
      norms
        .filter(isForwardAndBackward)
        .filter(times => !shape || isSameShape(shape, times.shape))
        .map(({shape, ratios}) =>
          atLeast(target, {
            what: `${backend}, ${shapeName(shape)}, forward + backward: builtIn / ours`,
            measured: ratios['builtIn / ours'],
          }),
        ),
    );
}

/** Of each shape, against Keras. Beside it stands PyTorch, which is as fast as they get. */
function libraryTargets({backend, norms}: BackendReport): Target[] {
  if (backend !== 'tensorflow') return [];
  return norms
    .filter(isForwardAndBackward)
    .filter(({ratios}) => 'keras / ours' in ratios)
    .map(({shape, ratios}) => {
      const pytorch = ratios['pytorch / ours'];
      const beside =
        pytorch === undefined ? '' : ` (ours / pytorch: ${threeDigits(1 / pytorch)})`;
      return atMost(0.8, {
        what: `${backend}, ${shapeName(shape)}, forward + backward: ours / keras${beside}`,
        measured: 1 / ratios['keras / ours'],
      });
    });
}

function isForwardAndBackward({direction}: NormTimes): boolean {
  return direction === 'forward + backward';
}

function dispatchTargets({backend, dispatch}: BackendReport): Target[] {
  if (!['tensorflow', 'wasm', 'cpu'].includes(backend)) return [];
  return dispatch
    .filter(({phase}) => phase === 'training')
    .map(({ratios}) =>
      atMost(1.3, {
        what: `${backend}, training call of ${shapeName(smallShape)}: ours / multiplication`,
        measured: ratios['ours / multiplication'],
      }),
    );
}

function inferenceTargets({backend, inference}: BackendReport): Target[] {
  return inference.flatMap(({network, ratios}) =>
    [
      {ratio: 'ours / builtIn', target: 1},
      {ratio: 'ours with activation / builtIn', target: 0.85},
    ].map(({ratio, target}) =>
      atMost(target, {
        what: `${backend}, inference of ${networkTitle(network)}: ${ratio}`,
        measured: ratios[ratio],
      }),
    ),
  );
}

function stepTargets({backend, steps}: BackendReport): Target[] {
  if (backend !== 'tensorflow') return [];
  return steps.flatMap(({network, ratios}) =>
    [
      {other: 'builtIn', target: 0.35},
      {other: 'keras', target: 1},
    ]
      .filter(({other}) => `${other} / ours` in ratios)
      .map(({other, target}) =>
        atMost(target, {
          what: `${backend}, step of ${network.name}: ours / ${other}`,
          measured: 1 / ratios[`${other} / ours`],
        }),
      ),
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

function distributedTargets({distributed}: BackendReport): Target[] {
  if (!distributed) return [];
  return distributed.efficiencies
    .filter(({replicas}) => replicas === 2)
    .map(({network, efficiency}) =>
      atLeast(0.9, {
        what: `two replicas of ${network.name} over ${distributed.engine}: independent / joined`,
        measured: efficiency,
      }),
    );
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
