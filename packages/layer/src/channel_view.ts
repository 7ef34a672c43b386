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
  let outer = 1;
  let inner = 1;
  for (let i = 0; i < channel; ++i) outer *= shape[i];
  for (let i = channel + 1; i < shape.length; ++i) inner *= shape[i];
  return [outer, shape[channel], inner];
}

/** The shape in which one value a channel broadcasts over `shape`. */
export function perChannelShape(shape: readonly number[], axis: number): number[] {
  const channel = channelAxis(shape.length, axis);
  return shape.map((size, i) => (i === channel ? size : 1));
}
