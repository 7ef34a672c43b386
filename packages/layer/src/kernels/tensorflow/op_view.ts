import {channelView} from '../channel_view.js';

/** A tensor as TensorFlow's ops of batch normalization take it: of rank 4 or 5. */
export interface OpView {
  shape: number[];
  dataFormat: 'NHWC' | 'NCHW' | 'NDHWC' | 'NCDHW';
}

/** A view, and the epsilon that the ops are given with it. */
export interface BatchNormView extends OpView {
  epsilon: number;
}

/** The shape itself where the ops can take it, as a reshape is one more op. */
export function opView(shape: number[], axis: number): OpView {
  const {length: rank} = shape;
  const isLast = axis === rank - 1;
  if (rank === 4 && isLast) return {shape, dataFormat: 'NHWC'};
  if (rank === 4 && axis === 1) return {shape, dataFormat: 'NCHW'};
  if (rank === 5 && isLast) return {shape, dataFormat: 'NDHWC'};
  if (rank === 5 && axis === 1) return {shape, dataFormat: 'NCDHW'};
  const [outer, channels, inner] = channelView(shape, axis);
  return inner === 1
    ? {shape: [outer, 1, 1, channels], dataFormat: 'NHWC'}
    : {shape: [outer, channels, inner, 1], dataFormat: 'NCHW'};
}
