/**
 * A shape as batch normalization sees it: whatever the rank and the axis, it is
 * [outer, channels, inner], where `outer` is the product of the dimensions before the channel
 * axis and `inner` of those after it. Every kernel takes its tensors in this form, so no
 * kernel has to know of ranks and axes. Reshaping to it moves no data.
 */
export type ChannelView = [outer: number, channels: number, inner: number];

/** Views `shape` about `axis`, which counts from the end where it is negative. */
export function channelView(shape: readonly number[], axis: number): ChannelView {
  const channelAxis = axis < 0 ? axis + shape.length : axis;
  const size = (dimensions: readonly number[]) => dimensions.reduce((a, b) => a * b, 1);
  return [
    size(shape.slice(0, channelAxis)),
    shape[channelAxis],
    size(shape.slice(channelAxis + 1)),
  ];
}
