/** The chart for the README, as SVG that can be read on light and dark pages. */
import * as vega from 'vega';
import {compile, type TopLevelSpec} from 'vega-lite';

import {networkTitle, shapeName} from './cases.js';
import type {BackendReport, Report, StepTimes} from './report.js';

// As far from white as from GitHub's dark background: a contrast of 4.3 to either.
const textColor = '#777a7e';
const gridColor = '#77777740';
const oursColor = '#2f81f7';
const otherColor = '#8f959e';

const contenderTitles: Record<string, string> = {
  ours: 'ResBatchNorm',
  builtIn: 'tf.layers.batchNormalization',
  none: 'no norm',
  keras: 'Keras 3',
  'keras without norm': 'Keras 3, no norm',
  pytorch: 'PyTorch',
  'pytorch without norm': 'PyTorch, no norm',
};

/** Undefined if there is nothing to show. */
export async function chartOf({
  backends,
}: Pick<Report, 'backends'>): Promise<string | undefined> {
  const panels = [
    ...backends.flatMap(report => report.steps.map(times => stepPanel(report, times))),
    ...normPanels(backends),
    ...inferencePanels(backends),
  ];
  if (panels.length === 0) return undefined;
  const spec = {
    vconcat: panels,
    background: 'transparent',
    config: {
      font: 'sans-serif',
      view: {stroke: null},
      title: {color: textColor, anchor: 'start', frame: 'group', fontSize: 13},
      header: {labelColor: textColor, labelFontSize: 11},
      axis: {
        labelColor: textColor,
        titleColor: textColor,
        labelFontSize: 11,
        titleFontSize: 11,
        titleFontWeight: 'normal',
        labelLimit: 0,
        domain: false,
        ticks: false,
        gridColor,
      },
    },
  };
  const {spec: compiled} = compile(spec as TopLevelSpec);
  return new vega.View(vega.parse(compiled), {renderer: 'none'}).toSVG();
}

function stepPanel({backend}: BackendReport, {network, samples}: StepTimes) {
  const values = Object.entries(samples).map(([contender, {median}]) => ({
    name: contenderTitles[contender],
    value: median,
    label: `${label(median)} ms`,
    isOurs: contender === 'ours',
  }));
  return {
    title: `A training step of ${networkTitle(network)} on ${backend}`,
    ...bars(values, {
      title: 'milliseconds (shorter is better)',
      scale: {zero: true},
      from: 0,
    }),
  };
}

function normPanels(backends: readonly BackendReport[]) {
  const values = backends.flatMap(({backend, norms}) =>
    norms
      .filter(({direction}) => direction === 'forward + backward')
      .map(({shape, ratios}) => ({
        backend,
        name: shapeName(shape),
        value: ratios['builtIn / ours'],
        label: `${label(ratios['builtIn / ours'])}×`,
        isOurs: true,
      })),
  );
  return panelsByBackend('Batch normalization, forward and backward', values, {
    title:
      'times faster than tf.layers.batchNormalization (logarithmic; longer is better)',
    scale: {type: 'log', nice: true},
    from: 1,
    ticks: [1, 2, 5, 10, 20, 50, 100, 200],
  });
}

/** What a prediction takes, as a part of what it takes with the built-in. */
function inferencePanels(backends: readonly BackendReport[]) {
  const rows = {
    'ours / builtIn': 'norm and ReLU',
    'ours with activation / builtIn': 'ReLU in the norm',
  };
  const values = backends.flatMap(({backend, inference}) =>
    inference.flatMap(({network, ratios}) =>
      Object.entries(rows).map(([ratio, what]) => ({
        backend,
        name: `batch ${network.batchSize}, ${what}`,
        value: ratios[ratio],
        label: label(ratios[ratio]),
        isOurs: true,
      })),
    ),
  );
  return panelsByBackend('Inference of a MobileNet with ResBatchNorm', values, {
    title: 'time / that with tf.layers.batchNormalization (shorter is better)',
    scale: {zero: true},
    from: 0,
  });
}

/** One panel with a part for each backend, or none. */
function panelsByBackend(
  title: string,
  values: readonly (Bar & {backend: string})[],
  axis: BarAxis,
) {
  if (values.length === 0) return [];
  const order = [...new Set(values.map(({backend}) => backend))];
  return [
    {
      title,
      data: {values},
      facet: {
        row: {
          field: 'backend',
          sort: order,
          title: null,
          header: {labelOrient: 'top', labelAnchor: 'start', labelPadding: 2},
        },
      },
      spacing: 10,
      spec: bars(undefined, axis),
    },
  ];
}

interface Bar {
  name: string;
  value: number;
  label: string;
  isOurs: boolean;
}

interface BarAxis {
  title: string;
  scale: object;
  /** Where bars begin. */
  from: number;
  ticks?: number[];
}

function bars(values: Bar[] | undefined, axis: BarAxis) {
  const x = {
    field: 'value',
    type: 'quantitative',
    stack: null,
    scale: axis.scale,
    title: axis.title,
    axis: {grid: true, values: axis.ticks, tickCount: 5},
  };
  return {
    ...(values && {data: {values}}),
    width: 420,
    height: {step: 17},
    encoding: {y: {field: 'name', type: 'nominal', sort: null, title: null}, x},
    layer: [
      {
        mark: {type: 'bar', height: 12},
        encoding: {
          // A logarithmic scale has no 0 for bars to begin at.
          x2: {datum: axis.from},
          color: {
            condition: {test: 'datum.isOurs', value: oursColor},
            value: otherColor,
          },
        },
      },
      {
        mark: {type: 'text', align: 'left', dx: 4, color: textColor, fontSize: 11},
        encoding: {text: {field: 'label'}},
      },
    ],
  };
}

function label(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(2)));
}
