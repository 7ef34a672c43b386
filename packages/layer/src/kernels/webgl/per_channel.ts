/** What is per channel: small tensors with one texel for each pair of channels, in a row. */
import type {TensorInfo} from '@tensorflow/tfjs-core';

import type {Runner} from './backend.js';

interface PerChannel {
  inputs: Record<string, TensorInfo>;
  /** GLSL functions. */
  functions?: string;
  /** GLSL statements; `pair` is the index of the pair of channels. */
  code?: string;
}

/** [channels], of a GLSL expression for the vec2 of the pair's values. */
export function perChannelVector(
  runner: Runner,
  channels: number,
  {values, ...args}: PerChannel & {values: string},
): TensorInfo {
  const output = `vec4(${values}, 0, 0)`;
  return runner.run({
    inputs: args.inputs,
    shape: [channels],
    code: shader(args, output),
  });
}

/** [4, channels], of GLSL expressions for the vec2s of the pair's values in each row. */
export function perChannelTable(
  runner: Runner,
  channels: number,
  {rows, ...args}: PerChannel & {rows: readonly [string, string, string, string]},
): TensorInfo {
  const [a, b, c, d] = rows;
  const output = `int(gl_FragCoord.y) == 0 ? vec4(${a}, ${b}) : vec4(${c}, ${d})`;
  return runner.run({
    inputs: args.inputs,
    shape: [4, channels],
    code: shader(args, output),
  });
}

function shader({functions = '', code = ''}: PerChannel, output: string): string {
  return `
    ${functions}

    void main() {
      int pair = int(gl_FragCoord.x);
      ${code}
      setOutput(${output});
    }
  `;
}

/** GLSL for the vec2 of the pair's values in a [channels] sampler. */
export function ofVector(sampler: string): string {
  return `texelFetch(${sampler}, ivec2(pair, 0), 0).xy`;
}

export type TableRow = 0 | 1 | 2 | 3;

/** GLSL for the vec2 of the pair's values in a row of a [4, channels] sampler. */
export function ofTable(sampler: string, row: TableRow): string {
  const lanes = row % 2 === 0 ? 'xy' : 'zw';
  return `texelFetch(${sampler}, ivec2(pair, ${row >> 1}), 0).${lanes}`;
}

/** GLSL for the number as a float. */
export function float(value: number): string {
  return value.toExponential();
}
