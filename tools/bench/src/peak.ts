/** How much memory a training step takes at its peak. */
import * as tf from '@tensorflow/tfjs-core';

import type {Network, Peak} from './requests.js';
import {makeTraining} from './step_task.js';

/** Of the second step: the first one makes the optimizer's weights. */
export async function measurePeak(network: Network, contender: string): Promise<Peak> {
  const meter = new PeakMeter();
  try {
    const {step, dispose} = makeTraining(network, contender);
    await step(1);
    meter.restart();
    await step(1);
    dispose();
    return meter.peak;
  } finally {
    meter.remove();
  }
}

/** Sees every tensor that comes and every buffer that goes. What was there before is left out. */
export class PeakMeter {
  private readonly engine = tf.engine();
  private readonly bytesBefore = this.engine.state.numBytes;
  private readonly buffers = new Map<object, number>();
  private bufferBytes = 0;
  peak: Peak = {numBytes: 0, bufferBytes: 0};

  constructor() {
    const {engine} = this;
    const {trackTensor, removeDataId} = engine;
    engine.trackTensor = (tensor, backend) => {
      trackTensor.call(engine, tensor, backend);
      this.add(tensor);
    };
    engine.removeDataId = (dataId, backend) => {
      removeDataId.call(engine, dataId, backend);
      this.bufferBytes -= this.buffers.get(dataId) ?? 0;
      this.buffers.delete(dataId);
    };
  }

  restart(): void {
    this.peak = {numBytes: 0, bufferBytes: 0};
    this.update();
  }

  /** The methods of the class are there again. */
  remove(): void {
    const hooked: Partial<Pick<typeof this.engine, 'trackTensor' | 'removeDataId'>> =
      this.engine;
    delete hooked.trackTensor;
    delete hooked.removeDataId;
  }

  private add({dataId, size, dtype}: tf.Tensor): void {
    if (!this.buffers.has(dataId)) {
      const bytes = size * tf.util.bytesPerElement(dtype);
      this.buffers.set(dataId, bytes);
      this.bufferBytes += bytes;
    }
    this.update();
  }

  private update(): void {
    const {peak} = this;
    const numBytes = this.engine.state.numBytes - this.bytesBefore;
    peak.numBytes = Math.max(peak.numBytes, numBytes);
    peak.bufferBytes = Math.max(peak.bufferBytes, this.bufferBytes);
  }
}
