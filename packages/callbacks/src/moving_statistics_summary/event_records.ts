/**
 * Summaries as the records of a TensorBoard event file.
 *
 * Scalars and histograms are written as `tf.summary.scalar` and `tf.summary.histogram` of
 * TensorFlow 2 do: as tensors, which TensorBoard reads as they are. (The histograms of
 * TensorFlow 1 it would cast to float32.)
 */
import {crc32c} from '@aws-crypto/crc32c';
import protobuf from 'protobufjs';

import type {Histogram, Summary} from './summary.js';

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

/**
 * The messages, as far as they are used here. Names and numbers are those of
 * tensorflow/core/util/event.proto and tensorflow/core/framework/{summary,tensor,
 * tensor_shape}.proto.
 */
const {root} = protobuf.parse(`
  syntax = "proto3";

  message Event {
    double wall_time = 1;
    int64 step = 2;
    oneof what {
      string file_version = 3;
      Summary summary = 5;
    }
  }

  message Summary {
    message Value {
      string tag = 1;
      TensorProto tensor = 8;
      SummaryMetadata metadata = 9;
    }
    repeated Value value = 1;
  }

  message SummaryMetadata {
    message PluginData {
      string plugin_name = 1;
    }
    PluginData plugin_data = 1;
    DataClass data_class = 4;
  }

  enum DataClass {
    DATA_CLASS_UNKNOWN = 0;
    DATA_CLASS_SCALAR = 1;
    DATA_CLASS_TENSOR = 2;
  }

  message TensorProto {
    DataType dtype = 1;
    TensorShapeProto tensor_shape = 2;
    bytes tensor_content = 4;
  }

  enum DataType {
    DT_INVALID = 0;
    DT_FLOAT = 1;
    DT_DOUBLE = 2;
  }

  message TensorShapeProto {
    message Dim {
      int64 size = 1;
    }
    repeated Dim dim = 2;
  }
`);

const EventType = root.lookupType('Event');

interface EventMessage {
  wallTime: number;
  step?: number;
  fileVersion?: string;
  summary?: {value: SummaryValue[]};
}

interface SummaryValue {
  tag: string;
  tensor: TensorMessage;
  metadata: {
    pluginData: {pluginName: 'scalars' | 'histograms'};
    dataClass: 'DATA_CLASS_SCALAR' | 'DATA_CLASS_TENSOR';
  };
}

interface TensorMessage {
  dtype: 'DT_FLOAT' | 'DT_DOUBLE';
  tensorShape: {dim: {size: number}[]};
  /** The values in little-endian order. */
  tensorContent: Uint8Array;
}

function encodeEvent(event: EventMessage): Uint8Array {
  return EventType.encode(EventType.fromObject(event)).finish();
}

/**
 * A record of a TFRecord file: the length of the data (uint64), the masked CRC of that (uint32), the data, and
 * its masked CRC (uint32); little-endian. Source: tensorflow/core/lib/io/record_writer.h.
 */
function toRecord(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const record = new Uint8Array(16 + data.length);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc(data), true);
  return record;
}

/**
 * Rotated and shifted, as the CRC of data that holds CRCs is a weak one. Source:
 * tensorflow/core/lib/hash/crc32c.h.
 */
function maskedCrc(data: Uint8Array): number {
  const crc = crc32c(data);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
