/** How the SIMD module sees a view: by lanes, of which it computes four at once. */
import type {ChannelView} from '../channel_view.js';

export interface Lanes {
  /** The view as the module gets it. */
  view: ChannelView;
  count: number;
  channelOf(lane: number): number;
}

/**
 * Where the channels come last, a lane is a channel. If their number is no multiple of four,
 * two or four rows are taken as one, where that leaves none over. Elsewhere each channel has
 * four lanes, for values that are next to each other.
 */
export function lanesOf(view: ChannelView): Lanes {
  const [outer, channels, inner] = view;
  if (inner > 1) return {view, count: 4 * channels, channelOf: lane => lane >> 2};
  const rows = channels % 4 === 0 ? 1 : channels % 2 === 0 ? 2 : 4;
  const joined = outer % rows === 0 ? rows : 1;
  const count = joined * channels;
  return {
    view: [outer / joined, count, 1],
    count,
    channelOf: lane => lane % channels,
  };
}
