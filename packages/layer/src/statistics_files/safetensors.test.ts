import * as tf from '@tensorflow/tfjs-core';

import {decodeSafetensors} from './safetensors.js';
import {encodeSafetensors} from './safetensors.js';

/**
 * Written by the Python package safetensors 0.x:
 *
 *     save({'layer1.bn.weight': float32([1.5, -2.25, 3]),
 *           'layer1.bn.running_mean': float16([[0.5], [65504]]),
 *           'layer1.bn.num_batches_tracked': int64(7), 'double': float64([1 / 3]),
 *           'empty': zeros((0, 2), float32), 'flags': array([True, False]),
 *           'small': int8([-1, 2])}, metadata={'format': 'pt'})
 */
const fromPython = [
  '+AEAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJmb3JtYXQiOiJwdCJ9LCJsYXllcjEuYm4ubnVtX2JhdGNo',
  'ZXNfdHJhY2tlZCI6eyJkdHlwZSI6Ikk2NCIsInNoYXBlIjpbXSwiZGF0YV9vZmZzZXRzIjpbMCw4XX0s',
  'ImRvdWJsZSI6eyJkdHlwZSI6IkY2NCIsInNoYXBlIjpbMV0sImRhdGFfb2Zmc2V0cyI6WzgsMTZdfSwi',
  'ZW1wdHkiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzAsMl0sImRhdGFfb2Zmc2V0cyI6WzE2LDE2XX0s',
  'ImxheWVyMS5ibi53ZWlnaHQiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzNdLCJkYXRhX29mZnNldHMi',
  'OlsxNiwyOF19LCJsYXllcjEuYm4ucnVubmluZ19tZWFuIjp7ImR0eXBlIjoiRjE2Iiwic2hhcGUiOlsy',
  'LDFdLCJkYXRhX29mZnNldHMiOlsyOCwzMl19LCJzbWFsbCI6eyJkdHlwZSI6Ikk4Iiwic2hhcGUiOlsy',
  'XSwiZGF0YV9vZmZzZXRzIjpbMzIsMzRdfSwiZmxhZ3MiOnsiZHR5cGUiOiJCT09MIiwic2hhcGUiOlsy',
  'XSwiZGF0YV9vZmZzZXRzIjpbMzQsMzZdfX0gICAgICAHAAAAAAAAAFVVVVVVVdU/AADAPwAAEMAAAEBA',
  'ADj/e/8CAQA=',
].join('');

type Header = Record<string, unknown>;

/** A file with a header of one's own, and so many bytes of data. */
function file(header: Header | string, dataLength: number): Uint8Array {
  const json = typeof header === 'string' ? header : JSON.stringify(header);
  const text = new TextEncoder().encode(json);
  const bytes = new Uint8Array(8 + text.length + dataLength);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

const entry = (dtype: string, shape: unknown, begin: unknown, end: unknown) => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

/** A file with one tensor, of the bytes given. */
function fileOf(dtype: string, shape: number[], data: number[]): Uint8Array {
  const bytes = file({x: entry(dtype, shape, 0, data.length)}, data.length);
  bytes.set(data, bytes.length - data.length);
  return bytes;
}

test('reads what Python wrote', async () => {
  const tensors = decodeSafetensors(Uint8Array.from(Buffer.from(fromPython, 'base64')));
  const read = await Promise.all(
    Object.entries(tensors).map(async ([name, tensor]) => [
      name,
      {dtype: tensor.dtype, shape: tensor.shape, values: Array.from(await tensor.data())},
    ]),
  );
  expect(Object.fromEntries(read)).toEqual({
    'layer1.bn.weight': {dtype: 'float32', shape: [3], values: [1.5, -2.25, 3]},
    'layer1.bn.running_mean': {dtype: 'float32', shape: [2, 1], values: [0.5, 65504]},
    'layer1.bn.num_batches_tracked': {dtype: 'int32', shape: [], values: [7]},
    double: {dtype: 'float32', shape: [1], values: [Math.fround(1 / 3)]},
    empty: {dtype: 'float32', shape: [0, 2], values: []},
    flags: {dtype: 'bool', shape: [2], values: [1, 0]},
    small: {dtype: 'int32', shape: [2], values: [-1, 2]},
  });
});

test('reads what it wrote, from a buffer and from a part of one', async () => {
  const tensors = {
    'a/b:0': tf.tensor2d([[1, 2, 3]]),
    count: tf.scalar(-5, 'int32'),
    é: tf.tensor1d([1, 0], 'bool'),
    empty: tf.zeros([0]),
    ['__proto__']: tf.tensor1d([1e-40, -0]),
  };
  const before = tf.memory().numTensors;
  const bytes = await encodeSafetensors(tensors, {note: 'x'});
  expect(tf.memory().numTensors).toBe(before);
  const part = new Uint8Array(bytes.length + 8);
  part.set(bytes, 3);
  for (const source of [bytes, bytes.buffer as ArrayBuffer, part.subarray(3, -5)]) {
    const read = decodeSafetensors(source);
    expect(Object.keys(read).sort()).toEqual(Object.keys(tensors).sort());
    for (const [name, tensor] of Object.entries(tensors)) {
      expect(read[name].dtype).toBe(tensor.dtype);
      await expect(read[name]).toBeAllclose(tensor, {rtol: 0, atol: 0});
    }
  }
});

test('writes a header that keeps all numbers aligned', async () => {
  const bytes = await encodeSafetensors(
    {flag: tf.scalar(1, 'bool'), b: tf.scalar(2), a: tf.scalar(1)},
    {format: 'pt'},
  );
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  expect(length % 8).toBe(0);
  expect(JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)))).toEqual({
    __metadata__: {format: 'pt'},
    a: {dtype: 'F32', shape: [], data_offsets: [0, 4]},
    b: {dtype: 'F32', shape: [], data_offsets: [4, 8]},
    flag: {dtype: 'BOOL', shape: [], data_offsets: [8, 9]},
  });
});

test.each([
  ['F16', [0x00, 0x3c], 1],
  ['F16', [0x01, 0x00], 2 ** -24],
  ['F16', [0x00, 0xc0], -2],
  ['F16', [0x00, 0x80], -0],
  ['F16', [0x00, 0xfc], -Infinity],
  ['F16', [0x01, 0x7c], NaN],
  ['BF16', [0x80, 0x3f], 1],
  ['BF16', [0x49, 0xc0], -3.140625],
  ['I16', [0xfe, 0xff], -2],
  ['U8', [0xff], 255],
  ['I64', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], -1],
])('%s %p is %p', async (dtype, bytes, value) => {
  const {x} = decodeSafetensors(fileOf(dtype, [1], bytes));
  expect(Array.from(await x.data())).toEqual([value]);
});

describe('what is no good file', () => {
  const ok = entry('F32', [2], 0, 8);
  const faults: [string, Uint8Array, string][] = [
    ['too short', new Uint8Array(7), 'it has 7 bytes, and 8 say how long the header is'],
    [
      'a header that leaves the file',
      new Uint8Array([9, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d]),
      'its header is to have 9 bytes, of which at most 2 can be',
    ],
    [
      'a header of absurd length',
      new Uint8Array(10).fill(255),
      'its header is to have 18446744073709551615 bytes, of which at most 2 can be',
    ],
    ['no JSON', file('{', 0), 'its header is no JSON: '],
    [
      'no UTF-8',
      (() => {
        const bytes = file('{"a":1}', 0);
        bytes[10] = 0xff;
        return bytes;
      })(),
      'its header is no JSON: ',
    ],
    ['an array', file('[]', 0), 'its header is no object'],
    ['null', file('null', 0), 'its header is no object'],
    [
      'metadata of numbers',
      file({__metadata__: {a: 1}}, 0),
      'its __metadata__ must be an object of strings',
    ],
    ['no object for a tensor', file({x: 5}, 0), "'x' is no object"],
    [
      'an unknown type',
      file({x: entry('F8_E4M3', [1], 0, 1)}, 1),
      `the dtype of 'x' is "F8_E4M3"; known are F64, F32`,
    ],
    [
      'a type by prototype',
      file({x: entry('toString', [1], 0, 1)}, 1),
      `the dtype of 'x' is "toString"; known are F64`,
    ],
    [
      'a negative size',
      file({x: entry('F32', [-2], 0, 8)}, 8),
      "the shape of 'x' must be an array of integers, none of them negative, but is [-2]",
    ],
    [
      'a size that is no integer',
      file({x: entry('F32', [0.5], 0, 2)}, 2),
      "the shape of 'x' must be an array of integers",
    ],
    [
      'offsets that are no integers',
      file({x: entry('F32', [2], '0', 8)}, 8),
      "the data_offsets of 'x' must be two integers",
    ],
    [
      'a negative offset',
      file({x: entry('F32', [2], -8, 0)}, 8),
      "the data_offsets of 'x' must be two integers",
    ],
    [
      'offsets that do not fit the shape',
      file({x: entry('F32', [3], 0, 8)}, 8),
      "'x' is of 8 bytes, and F32 of shape [3] takes 12",
    ],
    [
      'offsets in the wrong order',
      file({x: entry('F32', [0], 8, 0)}, 8),
      "'x' is of -8 bytes, and F32 of shape [0] takes 0",
    ],
    [
      'an overlap',
      file({x: ok, y: entry('F32', [2], 4, 12)}, 12),
      "'y' overlaps the tensor before it, at byte 4",
    ],
    [
      'a gap',
      file({x: ok, y: entry('F32', [1], 12, 16)}, 16),
      "the bytes 8 to 12, before 'y', are of no tensor",
    ],
    ['a missing end', file({x: ok}, 7), 'the tensors end at byte 8, and the file has 7'],
    ['a surplus', file({x: ok}, 9), 'its last 1 bytes are of no tensor'],
    [
      'a name that comes twice',
      file(
        '{"x":{"dtype":"I8","shape":[1],"data_offsets":[0,1]},' +
          '"x":{"dtype":"I8","shape":[1],"data_offsets":[1,2]}}',
        2,
      ),
      "the bytes 0 to 1, before 'x', are of no tensor",
    ],
    [
      'an integer that is too large',
      fileOf('I64', [1], [0, 0, 0, 0, 1, 0, 0, 0]),
      "'x' holds 4294967296, at index 0, which int32 can not hold",
    ],
    [
      'a float that is too large',
      fileOf('F64', [1], Array.from(new Uint8Array(new Float64Array([1e300]).buffer))),
      "'x' holds 1e+300, at index 0, which float32 can not hold",
    ],
    ['no bool', fileOf('BOOL', [1], [2]), "'x' holds 2, at index 0, which is no bool"],
  ];
  test.each(faults)('%s', (_, bytes, fault) => {
    const before = tf.memory().numTensors;
    expect(() => decodeSafetensors(bytes)).toThrow(
      `decodeSafetensors: this is no good .safetensors file: ${fault}`,
    );
    expect(tf.memory().numTensors).toBe(before);
  });

  test('no bytes', () => {
    expect(() => decodeSafetensors('x' as never)).toThrow(
      'decodeSafetensors: bytes must be a Uint8Array or an ArrayBuffer. Received: "x"',
    );
  });
});

test.each([
  [null, {}, 'tensors must be an object of tensors by name. Received: null'],
  [{x: 1}, {}, "tensors['x'] must be a tensor. Received: 1"],
  [{__metadata__: 1}, {}, 'no tensor can have the name __metadata__'],
  [{}, {a: 1}, 'metadata must be an object of strings. Received: {"a":1}'],
  [{}, 'pt', 'metadata must be an object of strings. Received: "pt"'],
])('%p can not be written', async (tensors, metadata, message) => {
  await expect(encodeSafetensors(tensors as never, metadata as never)).rejects.toThrow(
    `encodeSafetensors: ${message}`,
  );
});

test('tensors of another type, and disposed ones', async () => {
  await expect(encodeSafetensors({x: tf.tensor1d(['a'])})).rejects.toThrow(
    `tensors['x'] must be of type float32, int32 or bool. Received: "string"`,
  );
  const x = tf.scalar(1);
  x.dispose();
  await expect(encodeSafetensors({x})).rejects.toThrow(
    `tensors['x'] must be a tensor. Received: "a disposed one"`,
  );
});
