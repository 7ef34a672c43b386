export {MovingStatisticsSummary} from './moving_statistics_summary/moving_statistics_summary.js';
export type {MovingStatisticsSummaryArgs} from './moving_statistics_summary/moving_statistics_summary.js';
export type {Histogram} from './moving_statistics_summary/histogram.js';
export type {Summary, SummarySink} from './moving_statistics_summary/summary.js';
export {SummarySeries} from './moving_statistics_summary/summary_series.js';
export type {
  BarChartData,
  LineChartData,
} from './moving_statistics_summary/summary_series.js';
export {UpdateOpsCheck} from './update_ops_check/update_ops_check.js';
export type {UpdateOpsCheckArgs} from './update_ops_check/update_ops_check.js';
export type {LayerReport} from './update_ops_check/layer_record.js';
export type {OnViolation} from './update_ops_check/violation_handler.js';
export {UpdateOpsError} from './update_ops_check/violations.js';
export type {UpdateOpsViolation, ViolationReason} from './update_ops_check/violations.js';
export {EarlyStopping} from './early_stopping/early_stopping.js';
export type {EarlyStoppingArgs} from './early_stopping/early_stopping.js';
export {CheckpointError} from './model_checkpoint/checkpoint_error.js';
export {ModelCheckpoint} from './model_checkpoint/model_checkpoint.js';
export type {ModelCheckpointArgs, SaveArgs} from './model_checkpoint/model_checkpoint.js';
export type {BestCheckpoint, TrainingPosition} from './progress.js';
export {remainingBatches} from './model_checkpoint/remaining_batches.js';
export type {
  BatchDataset,
  BatchIterator,
  RemainingBatchesOptions,
} from './model_checkpoint/remaining_batches.js';
export {hasCheckpoints, resume} from './model_checkpoint/resume.js';
export type {ResumedTraining, ResumeOptions} from './model_checkpoint/resume.js';
export type {MonitorMode} from './monitor.js';
export {PhaseGapCheck} from './phase_gap_check/phase_gap_check.js';
export type {
  PhaseGapCheckArgs,
  PhaseGapThreshold,
} from './phase_gap_check/phase_gap_check.js';
export {PhaseGapError} from './phase_gap_check/phase_gap.js';
export type {PhaseGapReport} from './phase_gap_check/phase_gap.js';
export type {LayerGap, PhaseGapCause} from './phase_gap_check/layer_gap.js';
export type {OnGap} from './phase_gap_check/gap_handler.js';
export type {
  ProbeData,
  ProbeDataset,
  ProbeExamples,
  ProbeTensors,
} from './phase_gap_check/probe_data.js';
export {ProgressBar} from './progress_bar/progress_bar.js';
export type {ProgressBarArgs} from './progress_bar/progress_bar.js';
export type {OutputStream} from './progress_bar/output_stream.js';
