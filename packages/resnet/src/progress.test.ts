import {Writable} from 'node:stream';

import {Progress} from './progress.js';

/** A stream that keeps what is written to it. */
class Recorder extends Writable {
  text = '';
  columns = 200;

  constructor(readonly isTTY: boolean) {
    super();
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk;
    done();
  }

  // What cli-progress asks of a terminal.
  cursorTo = () => {};
  clearLine = () => {};
  moveCursor = () => {};
}

/** Two epochs of two batches: 8 images, then 4. */
async function report(isTTY: boolean) {
  const stream = new Recorder(isTTY);
  const progress = new Progress({
    epochs: 2,
    imagesPerEpoch: 12,
    stream: stream as unknown as NodeJS.WriteStream,
  });
  await progress.onTrainBegin();
  for (const epoch of [0, 1]) {
    await progress.onEpochBegin(epoch);
    await progress.onBatchEnd(0, {size: 8, loss: 3 - epoch, acc: 0.25});
    await progress.onBatchEnd(1, {size: 4, loss: 0, acc: 1});
    await progress.onEpochEnd();
  }
  return {text: stream.text, progress};
}

describe('Progress', () => {
  it('writes a line an epoch to a file or pipe', async () => {
    const {text} = await report(false);
    const lines = text.split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(
      /^epoch 1\/2 {2}12\/12 {2}loss 2\.0000 {2}accuracy 50\.00 % {2}[\d,]+ images\/s {2}\d:\d\d left$/,
    );
    expect(lines[1]).toMatch(
      /^epoch 2\/2 {2}12\/12 {2}loss 1\.3333 {2}accuracy 50\.00 %/,
    );
  });

  it('has the means over the images of the last epoch', async () => {
    const {progress} = await report(false);
    expect(progress.epochMeans.loss).toBeCloseTo(4 / 3, 12);
    expect(progress.epochMeans.accuracy).toBe(0.5);
  });

  it('shows a bar on a terminal', async () => {
    const {text} = await report(true);
    expect(text).toContain('epoch 1/2  █████████████');
    expect(text).toContain('epoch 2/2  ████████████████████  loss 1.3333');
  });
});
