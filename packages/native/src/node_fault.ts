import util from 'node:util';

/**
 * Node 23 took `util.isNullOrUndefined` away, which tfjs-node 4.22 calls in its ops
 * (tensorflow/tfjs#8609). Puts it back where it is missing.
 */
export function restoreIsNullOrUndefined(): void {
  const target = util as {isNullOrUndefined?: (value: unknown) => boolean};
  target.isNullOrUndefined ??= value => value === null || value === undefined;
}

/** Whether this Node has the fault, be it put right already or not. */
export function hasNodeFault(nodeVersion = process.versions.node): boolean {
  return Number(nodeVersion.split('.')[0]) >= 23;
}
