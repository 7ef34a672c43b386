/**
 * The messages of a TensorBoard event file, as far as they are used here. Names and numbers are
 * those of tensorflow/core/util/event.proto and tensorflow/core/framework/{summary,tensor,
 * tensor_shape}.proto.
 */
import protobuf from 'protobufjs';

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

export interface EventMessage {
  wallTime: number;
  step?: number;
  fileVersion?: string;
  summary?: {value: SummaryValue[]};
}

export interface SummaryValue {
  tag: string;
  tensor: TensorMessage;
  metadata: {
    pluginData: {pluginName: 'scalars' | 'histograms'};
    dataClass: 'DATA_CLASS_SCALAR' | 'DATA_CLASS_TENSOR';
  };
}

export interface TensorMessage {
  dtype: 'DT_FLOAT' | 'DT_DOUBLE';
  tensorShape: {dim: {size: number}[]};
  /** The values in little-endian order. */
  tensorContent: Uint8Array;
}

export function encodeEvent(event: EventMessage): Uint8Array {
  return EventType.encode(EventType.fromObject(event)).finish();
}
