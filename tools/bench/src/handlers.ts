/** Answers the requests on a backend of TensorFlow.js, in Node and in a page alike. */
import type {Device} from '@resbatchnorm/tools-common/device';

import type {Network} from './cases.js';
import {type PreparedTask, prepareCopy, time} from './contender.js';
import {prepareDispatch} from './dispatch.js';
import {prepareInference} from './inference.js';
import {measureAccuracy, prepareNorm} from './norms.js';
import type {
  CallbackSamples,
  Handlers,
  OpenArgs,
  Opened,
  Peak,
  Task,
} from './requests.js';

/** What differs from one place to another. */
export interface Place {
  /** Makes the backend the current one. */
  open(args: OpenArgs): Promise<Opened>;
  /** Only where whole networks can be trained. */
  networks?: {
    prepare(network: Network): PreparedTask;
    peak(network: Network, contender: string): Promise<Peak>;
    callbacks(network: Network): Promise<CallbackSamples>;
  };
}

export function makeHandlers({open, networks}: Place): Handlers {
  let device: Device;
  let task: PreparedTask | undefined;

  function prepare(wanted: Task): PreparedTask {
    switch (wanted.kind) {
      case 'norm':
        return prepareNorm(wanted.shape, wanted.direction);
      case 'dispatch':
        return prepareDispatch(wanted.phase);
      case 'inference':
        return prepareInference(wanted.network);
      case 'copy':
        return prepareCopy(wanted.values, device);
      case 'step':
        return networks!.prepare(wanted.network);
    }
  }

  function discardTask(): void {
    task?.dispose();
    task = undefined;
  }

  return {
    open: async args => {
      const opened = await open(args);
      device = opened.device;
      return opened;
    },
    prepare: async wanted => {
      discardTask();
      task = prepare(wanted);
      return {contenders: Object.keys(task.contenders), parameters: task.parameters};
    },
    time: ({contender, count}) => time(task!.contenders[contender], count),
    accuracy: ({shape}) => {
      discardTask();
      return measureAccuracy(shape);
    },
    peak: ({network, contender}) => {
      discardTask();
      return networks!.peak(network, contender);
    },
    callbacks: ({network}) => {
      discardTask();
      return networks!.callbacks(network);
    },
  };
}
