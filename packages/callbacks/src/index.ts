/** The callbacks that run anywhere. What needs files is in node.ts. */
export {EarlyStopping} from './early_stopping.js';
export type {EarlyStoppingArgs} from './early_stopping.js';
export type {MonitorMode} from './monitor.js';
export {MovingStatisticsSummary} from './moving_statistics_summary/moving_statistics_summary.js';
export type {MovingStatisticsSummaryArgs} from './moving_statistics_summary/moving_statistics_summary.js';
export type {
  Histogram,
  Summary,
  SummaryWriter,
} from './moving_statistics_summary/summary.js';
export {SummarySeries} from './moving_statistics_summary/summary_series.js';
export type {
  BarChartData,
  LineChartData,
} from './moving_statistics_summary/summary_series.js';
export type {LayerGap, PhaseGapCause} from './phase_gap_check/layer_gap.js';
export {PhaseGapError} from './phase_gap_check/phase_gap.js';
export type {OnGap, PhaseGapReport} from './phase_gap_check/phase_gap.js';
export {PhaseGapCheck} from './phase_gap_check/phase_gap_check.js';
export type {
  PhaseGapCheckArgs,
  PhaseGapThreshold,
} from './phase_gap_check/phase_gap_check.js';
export type {
  ProbeData,
  ProbeDataset,
  ProbeExamples,
  ProbeTensors,
} from './phase_gap_check/probe_data.js';
export {ProgressBar} from './progress_bar/progress_bar.js';
export type {OutputStream, ProgressBarArgs} from './progress_bar/progress_bar.js';
export {remainingBatches} from './remaining_batches.js';
export type {
  BatchDataset,
  BatchIterator,
  RemainingBatchesOptions,
} from './remaining_batches.js';
export type {LayerReport} from './update_ops_check/layer_record.js';
export {UpdateOpsCheck} from './update_ops_check/update_ops_check.js';
export type {UpdateOpsCheckArgs} from './update_ops_check/update_ops_check.js';
export {UpdateOpsError} from './update_ops_check/violations.js';
export type {
  OnViolation,
  UpdateOpsViolation,
  ViolationReason,
} from './update_ops_check/violations.js';
