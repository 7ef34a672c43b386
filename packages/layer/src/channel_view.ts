/**
 * A shape as batch normalization sees it: whatever the rank and the axis, it is
 * [outer, channels, inner], where `outer` is the product of the dimensions before the channel
 * axis and `inner` of those after it. Every kernel takes its tensors in this form, so no
 * kernel has to know of ranks and axes. Reshaping to it moves no data.
 */
export type ChannelView = [outer: number, channels: number, inner: number];

/** The channel axis, counted from the start. */
export function channelAxis(rank: number, axis: number): number {
  return axis < 0 ? axis + rank : axis;
}

/** Views `shape` about `axis`, which counts from the end where it is negative. */
export function channelView(shape: readonly number[], axis: number): ChannelView {
  const channel = channelAxis(shape.length, axis);
  const size = (dimensions: readonly number[]) => dimensions.reduce((a, b) => a * b, 1);
  return [size(shape.slice(0, channel)), shape[channel], size(shape.slice(channel + 1))];
}

/** The shape in which one value a channel broadcasts over `shape`. */
export function perChannelShape(shape: readonly number[], axis: number): number[] {
  const channel = channelAxis(shape.length, axis);
  return shape.map((size, i) => (i === channel ? size : 1));
}
