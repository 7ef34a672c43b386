import type {LayerReport} from './layer_record.js';

/** What became of the update ops of all layers, in one line. */
export function summaryOf(report: readonly LayerReport[]): string {
  const total = (of: (layer: LayerReport) => number) =>
    report.reduce((sum, layer) => sum + of(layer), 0);
  const steps = Math.max(0, ...report.map(layer => layer.steps));
  const updates = total(layer => layer.updates);
  const layers = `${report.length} ${report.length === 1 ? 'layer' : 'layers'}`;
  const inSteps = `${integer(steps)} ${steps === 1 ? 'step' : 'steps'}`;
  const run = `${integer(updates)} updates run`;
  const skipped = `${integer(total(layer => layer.skippedUpdates ?? 0))} skipped as non-finite`;
  const counts =
    report.length * steps === updates
      ? `${layers} × ${inSteps} = ${run}`
      : `${layers}, ${inSteps}, ${run}`;
  return `${counts}, ${skipped}`;
}

function integer(value: number): string {
  return value.toLocaleString('en');
}
