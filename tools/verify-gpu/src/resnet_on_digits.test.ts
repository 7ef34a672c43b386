import {padded} from './resnet_on_digits.js';

it('puts each image in the middle, the same in all three channels', () => {
  const labels = Uint8Array.from([7, 8]);
  const images = {pixels: Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]), labels};
  const result = padded(images, [2, 2]);
  expect(result.labels).toBe(labels);
  expect(result.pixels).toHaveLength(2 * 32 * 32 * 3);
  const pixel = (n: number, y: number, x: number) => {
    const at = ((n * 32 + y) * 32 + x) * 3;
    return [...result.pixels.subarray(at, at + 3)];
  };
  expect(pixel(0, 15, 15)).toEqual([1, 1, 1]);
  expect(pixel(0, 15, 16)).toEqual([2, 2, 2]);
  expect(pixel(0, 16, 15)).toEqual([3, 3, 3]);
  expect(pixel(1, 16, 16)).toEqual([8, 8, 8]);
  // And nothing anywhere else.
  const sum = result.pixels.reduce((a, b) => a + b, 0);
  expect(sum).toBe(3 * (1 + 2 + 3 + 4 + 5 + 6 + 7 + 8));
});
