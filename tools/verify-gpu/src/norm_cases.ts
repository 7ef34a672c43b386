/** The batches that ResBatchNorm is verified with. */
export interface NormCase {
  shape: number[];
  axis: number;
}

const small: NormCase[] = [
  {shape: [5, 3], axis: -1},
  {shape: [64, 10], axis: -1},
  {shape: [257, 33], axis: -1},
  {shape: [3, 7, 5], axis: -1},
  {shape: [3, 7, 5], axis: 1},
  {shape: [1, 13, 11, 5], axis: -1},
  {shape: [9, 17, 3, 1], axis: -1},
  {shape: [2, 3, 5, 7], axis: -1},
  {shape: [2, 3, 5, 7], axis: 1},
  {shape: [2, 3, 5, 7], axis: 2},
  {shape: [2, 3, 4, 5, 6], axis: -1},
  {shape: [2, 3, 4, 5, 6], axis: 1},
  {shape: [2, 3, 4, 5, 6], axis: -2},
];

const large: NormCase[] = [
  {shape: [256, 512], axis: -1},
  {shape: [32, 128, 64], axis: -1},
  {shape: [32, 32, 32, 16], axis: -1},
  {shape: [32, 8, 8, 64], axis: -1},
  {shape: [32, 64, 8, 8], axis: 1},
  {shape: [8, 33, 31, 17], axis: -1},
  {shape: [16, 56, 56, 64], axis: -1},
  {shape: [16, 64, 56, 56], axis: 1},
  {shape: [4, 8, 16, 16, 32], axis: -1},
];

export function normCases({quick}: {quick: boolean}): NormCase[] {
  return quick ? [...small, ...large.slice(0, 3)] : [...small, ...large];
}

export function caseName({shape, axis}: NormCase): string {
  return `${shape.join('×')}, axis ${axis}`;
}
