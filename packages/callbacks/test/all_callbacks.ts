/** All the callbacks at once, for tests of how they get on with each other. */
import {readdirSync} from 'node:fs';
import {join} from 'node:path';

import * as tfl from '@tensorflow/tfjs-layers';

import {
  EarlyStopping,
  MovingStatisticsSummary,
  PhaseGapCheck,
  ProgressBar,
  UpdateOpsCheck,
} from '../src';
import {eventFiles, ModelCheckpoint, resume} from '../src/node';
import {makeBatch} from './models';

/** One of each and tfjs's own, none of which stops the training. */
export class AllCallbacks {
  private readonly logdir: string;
  private readonly checkpoints: string;
  private readonly lines: string[] = [];
  private readonly updateOps = new UpdateOpsCheck();
  // So small a training may well have a gap; it is not to be told.
  private readonly phaseGap = new PhaseGapCheck({data: makeBatch(16), onGap: () => {}});
  private readonly stopping = new EarlyStopping({
    patience: 1000,
    restoreBestWeights: true,
  });
  readonly all: tfl.Callback[];

  /** @param everySteps After how many steps each of them is due. */
  constructor(folder: string, everySteps: {summary: number; checkpoint: number}) {
    this.logdir = join(folder, 'logs');
    this.checkpoints = join(folder, 'checkpoints');
    this.all = [
      this.updateOps,
      this.phaseGap,
      new MovingStatisticsSummary({
        writer: eventFiles(this.logdir),
        everySteps: everySteps.summary,
      }),
      new ModelCheckpoint({
        path: this.checkpoints,
        keep: 2,
        everySteps: everySteps.checkpoint,
      }),
      this.stopping,
      tfl.callbacks.earlyStopping({monitor: 'val_loss', patience: 1000}),
      new ProgressBar({stream: {write: line => this.lines.push(line)}}),
    ];
  }

  /** What they did: as often as there are epochs or steps, if each did what it is there for. */
  async outcome() {
    const {model, optimizer, ...resumed} = await resume(this.checkpoints);
    model.dispose();
    optimizer.dispose();
    const [{steps, updates}] = this.updateOps.report();
    return {
      stepsChecked: steps,
      updatesSeen: updates,
      gapsMeasured: this.phaseGap.report().length,
      runsWritten: readdirSync(this.logdir).sort(),
      stepOfCheckpoint: resumed.step,
      epochOfCheckpoint: resumed.epoch,
      // The best one is kept besides, if it is none of them.
      checkpointsKept: Math.min(2, readdirSync(this.checkpoints).length),
      wasBestEpochFound: this.stopping.bestEpoch !== null,
      wasStopped: this.stopping.stoppedEpoch !== null,
      epochsShown: this.lines.filter(line => line.includes('val_loss')).length,
    };
  }
}

/** What `outcome` is after a training, with validation, of so many epochs and steps in all. */
export function outcomeOf(epochs: number, steps: number): object {
  return {
    stepsChecked: steps,
    updatesSeen: steps,
    gapsMeasured: epochs,
    runsWritten: ['train', 'validation'],
    stepOfCheckpoint: steps,
    epochOfCheckpoint: epochs,
    checkpointsKept: 2,
    wasBestEpochFound: true,
    wasStopped: false,
    epochsShown: epochs,
  };
}
