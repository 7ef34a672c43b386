/**
 * Summaries as the records of a TensorBoard event file.
 *
 * Scalars and histograms are written as `tf.summary.scalar` and `tf.summary.histogram` of
 * TensorFlow 2 do: as tensors, which TensorBoard reads as they are. (The histograms of
 * TensorFlow 1 it would cast to float32.)
 */
import {encodeEvent} from './event_proto.js';
import type {SummaryValue} from './event_proto.js';
import type {Histogram} from './histogram.js';
import type {Summary} from './summary.js';
import {toRecord} from './tf_record.js';

/** The record that each file begins with. */
export function versionRecord(wallTime: number): Uint8Array {
  return toRecord(encodeEvent({wallTime, fileVersion: 'brain.Event:2'}));
}

export function summaryRecord({
  wallTime,
  step,
  scalars,
  histograms,
}: Summary): Uint8Array {
  const value = [
    ...Object.entries(scalars).map(([tag, scalar]) => scalarValue(tag, scalar)),
    ...Object.entries(histograms).map(([tag, histogram]) =>
      histogramValue(tag, histogram),
    ),
  ];
  return toRecord(encodeEvent({wallTime, step, summary: {value}}));
}

/** A float32 of shape []. */
function scalarValue(tag: string, scalar: number): SummaryValue {
  const bytes = new DataView(new ArrayBuffer(4));
  bytes.setFloat32(0, scalar, true);
  return {
    tag,
    metadata: {pluginData: {pluginName: 'scalars'}, dataClass: 'DATA_CLASS_SCALAR'},
    tensor: {
      dtype: 'DT_FLOAT',
      tensorShape: {dim: []},
      tensorContent: new Uint8Array(bytes.buffer),
    },
  };
}

/** Float64 of shape [buckets, 3]: left edge, right edge and count of each bucket. */
function histogramValue(tag: string, {edges, counts}: Histogram): SummaryValue {
  const rows = counts.flatMap((count, i) => [edges[i], edges[i + 1], count]);
  const bytes = new DataView(new ArrayBuffer(8 * rows.length));
  rows.forEach((value, i) => bytes.setFloat64(8 * i, value, true));
  return {
    tag,
    metadata: {pluginData: {pluginName: 'histograms'}, dataClass: 'DATA_CLASS_TENSOR'},
    tensor: {
      dtype: 'DT_DOUBLE',
      tensorShape: {dim: [{size: counts.length}, {size: 3}]},
      tensorContent: new Uint8Array(bytes.buffer),
    },
  };
}
