/** The subpath ./node: what needs files, and so Node. All else is in index.ts. */
export {CheckpointError} from './model_checkpoint/checkpoint_folder.js';
export {ModelCheckpoint} from './model_checkpoint/model_checkpoint.js';
export type {ModelCheckpointArgs, SaveArgs} from './model_checkpoint/model_checkpoint.js';
export {hasCheckpoints, resume} from './model_checkpoint/resume.js';
export type {ResumedTraining, ResumeOptions} from './model_checkpoint/resume.js';
export {eventFiles} from './moving_statistics_summary/event_files.js';
export type {BestCheckpoint, TrainingPosition} from './progress.js';
