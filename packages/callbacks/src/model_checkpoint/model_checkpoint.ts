/** The callback that saves a training, so that it can be gone on with. */
import {randomUUID} from 'node:crypto';

import type * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import {
  argumentError,
  checkArguments,
  checkBoolean,
  checkText,
  checkWholeNumber,
} from '../arguments.js';
import {FitCallback, type FitLogs} from '../fit_callback.js';
import {Monitor, type MonitorMode} from '../monitor.js';
import {
  progressOf,
  setProgress,
  type BestCheckpoint,
  type Progress,
  type TrainingPosition,
} from '../progress.js';
import {
  CheckpointError,
  CheckpointFolder,
  checkpointName,
  numberOf,
  reasonOf,
} from './checkpoint_folder.js';
import {decodeManifest, encodeTraining, type TrainingState} from './training_state.js';
import {checkWeightNames} from './weight_names.js';

export interface ModelCheckpointArgs {
  /**
   * The folder for the checkpoints of this training; it is made if it is not there. No other
   * process may save into it at the same time: each would remove what the other is writing.
   */
  path: string;
  /** The quantity that tells the best epoch: a key of the logs of an epoch. Default 'val_loss'. */
  monitor?: string;
  /**
   * Whether less ('min') or more ('max') is better. Default 'auto': 'max' for a name with
   * acc, auc, precision, recall, f1, fmeasure or r2 in it that does not end in loss, else
   * 'min'.
   */
  mode?: MonitorMode;
  /** Whether an epoch is saved only if it is the best so far. Default false: each epoch is. */
  saveBestOnly?: boolean;
  /** Saves after every n-th step, too, whatever `saveBestOnly` is. Default: no step. */
  everySteps?: number;
  /** How many checkpoints are kept; the best one is kept besides. Default 3. */
  keep?: number;
  /**
   * Whether this training may replace, one by one, the checkpoints of another that are in
   * `path`. Default false: that is an error.
   */
  overwrite?: boolean;
}

/** Where a loop of the user's own is in its training. */
export interface SaveArgs {
  /** Epochs that are done. */
  epoch: number;
  /** Steps that are done in all. */
  step: number;
  /** Steps that are done of the epoch after those. Default 0. */
  stepInEpoch?: number;
  /** Loss and metrics; the monitored quantity among them tells the best checkpoint. */
  logs?: FitLogs;
  /** The optimizer. By default the one that the model is compiled with. */
  optimizer?: tf.Optimizer;
}

const NAME = 'ModelCheckpoint';

const ARGUMENTS = [
  'path',
  'monitor',
  'mode',
  'saveBestOnly',
  'everySteps',
  'keep',
  'overwrite',
] as const satisfies (keyof ModelCheckpointArgs)[];

/**
 * Saves the training so that `resume` can go on with it: model, moving statistics, the
 * optimizer with its variables, loss and metrics, epoch and step, what is frozen.
 *
 *     const checkpoint = new ModelCheckpoint({path: 'checkpoints', everySteps: 500});
 *     await model.fitDataset(dataset, {epochs: 20, callbacks: [checkpoint]});
 *
 * It saves at the end of each epoch and, if wanted, every n steps. A training that is stopped
 * in the middle of an epoch, by `model.stopTraining`, is saved as it is there, unless only
 * best epochs are: `resume` goes on from there with `fitDataset`; `fit`, which can't, begins
 * the epoch anew. A loop of your own calls `save`. List it behind the callbacks that check a
 * step, so that no checkpoint is made of a step that one of them finds fault with.
 *
 * Each checkpoint is a folder below `path`. It is written under another name, flushed to the
 * disk and renamed, and only then are older ones removed. So a process that is killed at any
 * moment, a power cut or a full disk leave the last checkpoint whole. There must be room for
 * `keep` + 1 checkpoints and the best one. Of a checkpoint's files, `model.json` and
 * `weights.bin` are in the form that `tf.loadLayersModel` reads.
 *
 * A training that does not go on from the checkpoints in `path` is not started, so that
 * forgetting `resume` does not cost them. A training may have several folders, such as one
 * for the latest and one for the best: resumed from one, it knows the others as its own.
 *
 * @throws ValueError if an argument is wrong or the monitored quantity is missing, where that
 *     is needed: with `saveBestOnly`, or where `monitor` was given. CheckpointError if a
 *     checkpoint can't be saved; in `fit` and `fitDataset` the training ends then.
 */
export class ModelCheckpoint extends FitCallback {
  static override readonly className = NAME;
  override readonly onChiefOnly = true;

  private readonly folder: CheckpointFolder;
  private readonly monitor: Monitor;
  private readonly isMonitorNeeded: boolean;
  private readonly saveBestOnly: boolean;
  private readonly everySteps: number;
  private readonly keep: number;
  private readonly overwrite: boolean;

  /** The model whose training the folder was prepared for. */
  private preparedFor: tfl.LayersModel | null = null;
  /** The number in the name of the last checkpoint. */
  private number = 0;
  private best: BestCheckpoint | null = null;
  /** Whether the epoch has had a step in this process: its logs are empty if not. */
  private hasSteps = false;

  /** @throws ValueError if an argument is unknown, missing or wrong. */
  constructor(args: ModelCheckpointArgs) {
    super();
    checkArguments(NAME, args, ARGUMENTS);
    const {path, monitor = 'val_loss', mode = 'auto', everySteps = Infinity} = args;
    const {saveBestOnly = false, keep = 3, overwrite = false} = args;
    checkText(NAME, 'path', path);
    this.monitor = new Monitor(NAME, monitor, mode);
    checkBoolean(NAME, 'saveBestOnly', saveBestOnly);
    checkBoolean(NAME, 'overwrite', overwrite);
    checkWholeNumber(NAME, 'keep', keep, 1);
    if (everySteps !== Infinity) checkWholeNumber(NAME, 'everySteps', everySteps, 1);
    this.folder = new CheckpointFolder(path);
    this.isMonitorNeeded = saveBestOnly || args.monitor !== undefined;
    this.saveBestOnly = saveBestOnly;
    this.everySteps = everySteps;
    this.keep = keep;
    this.overwrite = overwrite;
  }

  /**
   * Saves a checkpoint from a loop of your own, best or not:
   *
   *     await checkpoint.save(model, {epoch, step});
   *
   * Await it before the next step, or the checkpoint is of a later one.
   *
   * @returns the path of the checkpoint.
   * @throws ValueError if an argument is wrong; CheckpointError if it can't be saved.
   */
  async save(model: tfl.LayersModel, args: SaveArgs): Promise<string> {
    const where = `${NAME}.save`;
    checkArguments(where, args, ['epoch', 'step', 'stepInEpoch', 'logs', 'optimizer']);
    const {epoch, step, stepInEpoch = 0, logs = {}, optimizer = model.optimizer} = args;
    checkWholeNumber(where, 'epoch', epoch, 0);
    checkWholeNumber(where, 'step', step, 0);
    checkWholeNumber(where, 'stepInEpoch', stepInEpoch, 0);
    if (!optimizer) {
      const expected = 'the optimizer, as the model is not compiled with one';
      throw argumentError(where, 'optimizer', expected, optimizer);
    }
    if (this.preparedFor !== model) await this.prepare(model);
    const value = await this.monitor.find(logs);
    return this.write({model, optimizer}, {epoch, stepInEpoch, step}, value);
  }

  protected override async trainBegin(): Promise<void> {
    if (this.isMonitorNeeded) this.monitor.checkParams(this.params);
    await this.prepare(this.model);
  }

  protected override epochBegin(): void {
    this.hasSteps = false;
  }

  protected override async stepEnd(): Promise<void> {
    this.hasSteps = true;
    if (this.isStepToSave()) await this.write(this.training(), this.position);
  }

  protected override async epochEnd(
    epoch: number,
    logs: FitLogs,
    isCutShort: boolean,
  ): Promise<void> {
    if (isCutShort) {
      if (this.saveBestOnly || this.isStepToSave()) return;
      await this.write(this.training(), this.position);
      return;
    }
    const value =
      this.isMonitorNeeded && this.hasSteps
        ? await this.monitor.read(logs)
        : await this.monitor.find(logs);
    if (this.saveBestOnly && !this.isBest(value)) return;
    const {step} = this.position;
    await this.write(this.training(), {epoch: epoch + 1, stepInEpoch: 0, step}, value);
  }

  private isStepToSave(): boolean {
    return this.position.step % this.everySteps === 0;
  }

  private training(): TrainingState {
    return {model: this.model, optimizer: this.model.optimizer};
  }

  private isBest(value: number | undefined): value is number {
    return value !== undefined && this.monitor.isBetter(value, this.best?.value ?? null);
  }

  /** Before the first step, so that what would fail in the first hour fails now. */
  private async prepare(model: tfl.LayersModel): Promise<void> {
    checkWeightNames(model);
    const progress = progressOf(model) ?? newProgress();
    const names = await this.trying("can't be used for checkpoints", async () => {
      await this.folder.prepare();
      return this.folder.list();
    });
    const known = progress.bests.get(this.folder.path);
    const best = known === undefined ? await this.findBest(names, progress) : known;
    if (names.length > 0 && best === undefined && !this.overwrite) {
      throw new CheckpointError(
        `${NAME}: '${this.folder.path}' holds checkpoints of another training, which this ` +
          'one would replace. Go on with that one, by the model from resume(path), choose ' +
          'another path, or pass {overwrite: true}',
      );
    }
    this.number = numberOf(names.at(-1) ?? checkpointName(0));
    this.best = best?.monitor === this.monitor.name ? best : null;
    this.preparedFor = model;
    // For those behind, which save the same training.
    setProgress(model, progress);
  }

  /**
   * The best checkpoint in a folder that was not used in this process; undefined if the newest
   * that is whole is not of this training.
   */
  private async findBest(
    names: readonly string[],
    {training}: Progress,
  ): Promise<BestCheckpoint | null | undefined> {
    for (const name of [...names].reverse()) {
      try {
        const manifest = decodeManifest(await this.folder.read(name));
        return manifest.training === training ? manifest.best : undefined;
      } catch {
        // Damaged, or of a later version of this package.
      }
    }
    return undefined;
  }

  /** @param value the monitored quantity, if it is known. */
  private async write(
    training: TrainingState,
    position: TrainingPosition,
    value?: number,
  ): Promise<string> {
    this.number += 1;
    const name = checkpointName(this.number);
    const best = this.isBest(value)
      ? {monitor: this.monitor.name, value, checkpoint: name}
      : this.best;
    // It was set when the folder was prepared.
    const progress = progressOf(training.model)!;
    const id = progress.training;
    const content = await encodeTraining(training, {...position, training: id, best});
    await this.trying(`can't be given the checkpoint of ${textOf(position)}`, () =>
      this.folder.write(name, content),
    );
    this.best = best;
    const bests = new Map(progress.bests).set(this.folder.path, best);
    // A later training in this process leaves no steps out.
    setProgress(training.model, {...progress, ...position, stepInEpoch: 0, bests});
    await this.trying("can't be freed of old checkpoints", () =>
      this.folder.prune(this.keep, this.best?.checkpoint),
    );
    return this.folder.pathOf(name);
  }

  private async trying<T>(failure: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const names = await this.folder.list().catch(() => []);
      const last = names.at(-1);
      const rest = last === undefined ? '' : `. The last good checkpoint is ${last}`;
      throw new CheckpointError(
        `${NAME}: '${this.folder.path}' ${failure}: ${reasonOf(error)}${rest}`,
        {cause: error},
      );
    }
  }
}

function newProgress(): Progress {
  const training = randomUUID();
  return {epoch: 0, stepInEpoch: 0, step: 0, training, bests: new Map()};
}

function textOf({epoch, step}: TrainingPosition): string {
  return `epoch ${epoch}, step ${step}`;
}
