/**
 * How workgroups are laid over a channel view (channel_view.ts), the same way in every program
 * that goes over all values.
 *
 * A workgroup takes the channels `width` at a time, and each of these has `lanes` threads.
 * Threads beside each other read values beside each other, which the GPU fetches in one go:
 * those of neighbouring channels where the channels come last, those of one channel elsewhere.
 * A channel of many values is split into parts, of one workgroup each.
 *
 * Where the channels come last and are a multiple of four, four of them are gone over as if
 * they were one, whose values are vectors.
 */
import type {KernelBackend, TensorInfo} from '@tensorflow/tfjs-core';

import {channelView} from '../../channel_view.js';
import {canBind, WORKGROUP_SIZE, type Program} from './backend.js';

export interface Tiling {
  /** How many channels a value is of. */
  components: 1 | 4;
  /** Such channels, and the size of what comes after them: channelView's `inner`. */
  channels: number;
  inner: number;
  width: number;
  lanes: number;
  /** How many values a channel has, and how many of them a part; the last may have fewer. */
  count: number;
  partSize: number;
  parts: number;
}

/**
 * Values that a thread goes over at least. In a reduction it also takes part in barriers, for
 * which a GPU made of software has to put each thread aside and take it up again.
 */
const MIN_VALUES_PER_THREAD = {each: 8, reduction: 32};

/** Enough workgroups for the largest GPUs. With more, threads go over more values instead. */
const MAX_WORKGROUPS = 4096;

/** Channels side by side whose values fill a GPU's fetch of 128 bytes. */
const MAX_WIDTH = 32;

/** Results of parts that a thread goes over where there are as many: too few to wait for. */
const PARTS_PER_THREAD = 32;

/** No device has to allow more workgroups along a dimension. */
const MAX_WORKGROUPS_PER_DIMENSION = 65535;

/** For programs that compute something of each value, and for reductions. */
export type Tilings = Record<keyof typeof MIN_VALUES_PER_THREAD, Tiling>;

/** Null if a program can't be given one of the inputs, or can't go over all of x. */
export function tile(
  backend: KernelBackend,
  inputs: {x: TensorInfo},
  axis: number,
): Tilings | null {
  if (!canBind(backend, Object.values(inputs))) return null;
  const {x} = inputs;
  const {each: minOfEach, reduction: minOfReduction} = MIN_VALUES_PER_THREAD;
  const each = tileView(x.shape, axis, minOfEach);
  const reduction = tileView(x.shape, axis, minOfReduction);
  const [, groups] = workgroups(each);
  return groups <= MAX_WORKGROUPS_PER_DIMENSION ? {each, reduction} : null;
}

function tileView(shape: number[], axis: number, minValuesPerThread: number): Tiling {
  const [outer, allChannels, inner] = channelView(shape, axis);
  const components = inner === 1 && allChannels % 4 === 0 ? 4 : 1;
  const channels = allChannels / components;
  const count = outer * inner;
  const width =
    inner === 1
      ? Math.min(MAX_WIDTH / components, powerOfTwo(channels))
      : WORKGROUP_SIZE / Math.min(WORKGROUP_SIZE, powerOfTwo(count));
  const lanes = WORKGROUP_SIZE / width;
  const valuesPerThread = Math.max(
    minValuesPerThread,
    Math.ceil((count * channels) / (WORKGROUP_SIZE * MAX_WORKGROUPS)),
  );
  const partSize = Math.min(count, lanes * valuesPerThread);
  const parts = Math.ceil(count / partSize);
  return {components, channels, inner, width, lanes, count, partSize, parts};
}

/** Over the results of the parts, [parts, channels]: a channel's are all in one workgroup. */
export function tileParts({components, channels, parts}: Tiling): Tiling {
  const lanes = Math.min(WORKGROUP_SIZE, powerOfTwo(Math.ceil(parts / PARTS_PER_THREAD)));
  return {
    components,
    channels,
    inner: 1,
    width: WORKGROUP_SIZE / lanes,
    lanes,
    count: parts,
    partSize: parts,
    parts: 1,
  };
}

/** The smallest power of two that is not less. */
function powerOfTwo(size: number): number {
  return 2 ** Math.ceil(Math.log2(size));
}

function workgroups({channels, width, parts}: Tiling): [number, number] {
  return [parts, Math.ceil(channels / width)];
}

/** What a program with `tilingCode` needs. */
export function tiled(tiling: Tiling) {
  const {components, channels, inner, width, lanes, count, partSize} = tiling;
  return {
    variant: [width, lanes, inner === 1],
    workgroups: workgroups(tiling),
    components,
    counts: {channels, inner, count, partSize},
  } satisfies Partial<Program>;
}

/**
 * The type of a value, and max(value, 0) that lets NaN through.
 *
 * What is not a number is told by its bits: compilers may take it that every value is a number,
 * and make max(v, 0), which is 0 of NaN, out of select(v, 0, v < 0). NVIDIA's seems to.
 */
function valueCode({components}: Tiling): string {
  const typeOf = (scalar: string) => (components === 4 ? `vec4<${scalar}>` : scalar);
  return /* wgsl */ `
    alias Value = ${typeOf('f32')};
    alias Bits = ${typeOf('u32')};

    fn isNotANumber(value: Value) -> ${typeOf('bool')} {
      return (bitcast<Bits>(value) & Bits(0x7fffffffu)) > Bits(0x7f800000u);
    }

    fn notNegative(value: Value) -> Value {
      return select(max(value, Value()), value, isNotANumber(value));
    }
  `;
}

/** The type of a value, the constants, and which values a thread goes over. */
export function tilingCode(tiling: Tiling): string {
  const {inner, width, lanes} = tiling;
  const channelsLast = inner === 1;
  return /* wgsl */ `
    ${valueCode(tiling)}

    const WIDTH = ${width};
    const LANES = ${lanes};
    // From a thread to the one of the next lane.
    const NEXT_LANE = ${channelsLast ? width : 1};

    struct Thread {
      channel: i32,
      lane: i32,
      // It goes over the values first, first + LANES, … before end. There are none where there
      // is no such channel.
      first: i32,
      end: i32,
    }

    fn thisThread() -> Thread {
      let index = i32(localIndex);
      let lane = ${channelsLast ? 'index / WIDTH' : 'index % LANES'};
      let column = ${channelsLast ? 'index % WIDTH' : 'index / LANES'};
      let channel = i32(workgroupId.y) * WIDTH + column;
      let start = i32(workgroupId.x) * uniforms.partSize;
      let end = min(start + uniforms.partSize, uniforms.count);
      return Thread(
          channel, lane, start + lane, select(0, end, channel < uniforms.channels));
    }

    // Whether a thread writes the result of its channel.
    fn isWriter(thread: Thread) -> bool {
      return thread.lane == 0 && thread.channel < uniforms.channels;
    }

    // Where the values of a channel are, counted from 0.
    fn indexOf(channel: i32, value: i32) -> i32 {
      ${
        channelsLast
          ? 'return value * uniforms.channels + channel;'
          : `let outer = value / uniforms.inner;
             let inner = value % uniforms.inner;
             return (outer * uniforms.channels + channel) * uniforms.inner + inner;`
      }
    }
  `;
}

/**
 * A reduction over the lanes of each channel: `reduced(own, lane)` is the total in lane 0. The
 * type has a function `combined(a, b)`. Not by subgroups: the backend asks for a device without
 * that feature.
 */
export function reductionCode(type: string, {lanes}: Tiling): string {
  if (lanes === 1)
    return `fn reduced(own: ${type}, lane: i32) -> ${type} { return own; }`;
  return /* wgsl */ `
    var<workgroup> totals: array<${type}, WIDTH * LANES>;

    fn reduced(own: ${type}, lane: i32) -> ${type} {
      let index = i32(localIndex);
      totals[index] = own;
      for (var half = LANES / 2; half > 0; half /= 2) {
        workgroupBarrier();
        if (lane < half) {
          totals[index] = combined(totals[index], totals[index + half * NEXT_LANE]);
        }
      }
      return totals[index];
    }
  `;
}
