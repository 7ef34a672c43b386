/**
 * The passes of batch normalization as a WebAssembly module with SIMD: the counterpart of
 * src/kernels/arrays/passes.ts, in AssemblyScript. It has no memory of its own: it is linked to
 * the memory of TensorFlow.js's wasm backend, keeps nothing there, and gets the addresses of all
 * that it reads and writes.
 *
 * What is per channel comes and goes by lane, as src/kernels/wasm/simd_passes.ts prepares it:
 * where the channels come last, lane i is channel i; elsewhere each channel has four lanes. The
 * arrays of such values follow each other in `params`, as float32, and in `sums`, as float64.
 */

/** Bytes of a block: few enough for what all columns read of it to stay in the cache. */
const BLOCK: usize = 16384;

/** The passes, each over four lanes, or over one where fewer are left. */
const MOMENTS = 0;
const NORMALIZE = 1;
const GRAD_SUMS = 2;
const INPUT_GRAD = 3;

/* eslint prefer-const: off */

/** The arguments of all passes, set before a call: addresses, 0 where there is no array. */
export let x: usize = 0;
export let y: usize = 0;
export let dy: usize = 0;
export let dx: usize = 0;
export let dz: usize = 0;
export let shortcut: usize = 0;
export let params: usize = 0;
export let sums: usize = 0;
export let low: f32 = 0;
export let high: f32 = 0;

let lanes: usize = 0;

/** The address of parameter `index` of a lane. */
function param(index: usize, lane: usize): usize {
  return params + ((index * lanes + lane) << 2);
}

/** The address of sum `index` of a lane. */
function sum(index: usize, lane: usize): usize {
  return sums + ((index * lanes + lane) << 3);
}

/** Adds Σd and Σd² with d = x − params[0] to the sums. */
export function moments(outer: usize, channels: usize, inner: usize): void {
  walk(MOMENTS, outer, channels, inner);
}

/** y = params[1]·(x − params[0]) + params[2] + shortcut, cut off to [low, high]. */
export function normalize(outer: usize, channels: usize, inner: usize): void {
  walk(NORMALIZE, outer, channels, inner);
}

/**
 * Adds Σdz, Σd and Σdz·d with d = x − params[0] to the sums. dz is dy where there is no y or
 * low < y < high, and 0 elsewhere.
 */
export function gradSums(outer: usize, channels: usize, inner: usize): void {
  walk(GRAD_SUMS, outer, channels, inner);
}

/** dx = params[3]·dz + params[1]·(x − params[0]) + params[2], and dz, if it has an address. */
export function inputGrad(outer: usize, channels: usize, inner: usize): void {
  walk(INPUT_GRAD, outer, channels, inner);
}

/**
 * Visits all values in runs of one lane, or of four together: `stride` bytes apart, from
 * `start` to before `end`. Where the channels come last, blocks of rows are gone over once
 * for each four of them; elsewhere the values of a channel are adjacent.
 */
function walk(pass: i32, outer: usize, channels: usize, inner: usize): void {
  if (inner == 1) {
    lanes = channels;
    const row = channels << 2;
    const size = outer * row;
    const block = max<usize>(BLOCK / row, 8) * row;
    for (let start: usize = 0; start < size; start += block) {
      const end = min(start + block, size);
      let lane: usize = 0;
      for (; lane + 4 <= channels; lane += 4) {
        visitFour(pass, lane, start + (lane << 2), end, row);
      }
      for (; lane < channels; ++lane) visitOne(pass, lane, start + (lane << 2), end, row);
    }
  } else {
    lanes = channels << 2;
    const run = inner << 2;
    const whole = run & ~15;
    let start: usize = 0;
    for (let o: usize = 0; o < outer; ++o) {
      for (let lane: usize = 0; lane < lanes; lane += 4) {
        visitFour(pass, lane, start, start + whole, 16);
        visitOne(pass, lane, start + whole, start + run, 4);
        start += run;
      }
    }
  }
}

function visitFour(
  pass: i32,
  lane: usize,
  start: usize,
  end: usize,
  stride: usize,
): void {
  if (pass == MOMENTS) momentsOfFour(lane, start, end, stride);
  else if (pass == NORMALIZE) normalizeFour(lane, start, end, stride);
  else if (pass == GRAD_SUMS) gradSumsOfFour(lane, start, end, stride);
  else inputGradOfFour(lane, start, end, stride);
}

function visitOne(pass: i32, lane: usize, start: usize, end: usize, stride: usize): void {
  if (pass == MOMENTS) momentsOfOne(lane, start, end, stride);
  else if (pass == NORMALIZE) normalizeOne(lane, start, end, stride);
  else if (pass == GRAD_SUMS) gradSumsOfOne(lane, start, end, stride);
  else inputGradOfOne(lane, start, end, stride);
}

/** The upper two of four float32 as float64; promote_low takes the lower two. */
function promoteHigh(v: v128): v128 {
  return f64x2.promote_low_f32x4(i64x2.shuffle(v, v, 1, 1));
}

function addFour(address: usize, lower: v128, upper: v128): void {
  v128.store(address, f64x2.add(v128.load(address), lower));
  v128.store(address, f64x2.add(v128.load(address, 16), upper), 16);
}

function addOne(address: usize, value: f64): void {
  store<f64>(address, load<f64>(address) + value);
}

function momentsOfFour(lane: usize, start: usize, end: usize, stride: usize): void {
  const shift = v128.load(param(0, lane));
  const shiftLow = f64x2.promote_low_f32x4(shift);
  const shiftHigh = promoteHigh(shift);
  let sumLow = f64x2.splat(0);
  let sumHigh = f64x2.splat(0);
  let squareLow = f64x2.splat(0);
  let squareHigh = f64x2.splat(0);
  for (let i = start; i < end; i += stride) {
    const value = v128.load(x + i);
    const dLow = f64x2.sub(f64x2.promote_low_f32x4(value), shiftLow);
    const dHigh = f64x2.sub(promoteHigh(value), shiftHigh);
    sumLow = f64x2.add(sumLow, dLow);
    sumHigh = f64x2.add(sumHigh, dHigh);
    squareLow = f64x2.add(squareLow, f64x2.mul(dLow, dLow));
    squareHigh = f64x2.add(squareHigh, f64x2.mul(dHigh, dHigh));
  }
  addFour(sum(0, lane), sumLow, sumHigh);
  addFour(sum(1, lane), squareLow, squareHigh);
}

function momentsOfOne(lane: usize, start: usize, end: usize, stride: usize): void {
  const shift: f64 = load<f32>(param(0, lane));
  let ofD: f64 = 0;
  let ofSquare: f64 = 0;
  for (let i = start; i < end; i += stride) {
    const d: f64 = <f64>load<f32>(x + i) - shift;
    ofD += d;
    ofSquare += d * d;
  }
  addOne(sum(0, lane), ofD);
  addOne(sum(1, lane), ofSquare);
}

function normalizeFour(lane: usize, start: usize, end: usize, stride: usize): void {
  const mean = v128.load(param(0, lane));
  const scale = v128.load(param(1, lane));
  const offset = v128.load(param(2, lane));
  const lows = f32x4.splat(low);
  const highs = f32x4.splat(high);
  for (let i = start; i < end; i += stride) {
    const d = f32x4.sub(v128.load(x + i), mean);
    let z = f32x4.add(f32x4.mul(scale, d), offset);
    if (shortcut) z = f32x4.add(z, v128.load(shortcut + i));
    // These leave NaN as it is.
    v128.store(y + i, f32x4.pmin(f32x4.pmax(z, lows), highs));
  }
}

function normalizeOne(lane: usize, start: usize, end: usize, stride: usize): void {
  const mean = load<f32>(param(0, lane));
  const scale = load<f32>(param(1, lane));
  const offset = load<f32>(param(2, lane));
  for (let i = start; i < end; i += stride) {
    let z: f32 = scale * (load<f32>(x + i) - mean) + offset;
    if (shortcut) z += load<f32>(shortcut + i);
    store<f32>(y + i, z < low ? low : z > high ? high : z);
  }
}

/** dz of four values. */
function upstreamOfFour(i: usize): v128 {
  const upstream = v128.load(dy + i);
  if (!y) return upstream;
  const output = v128.load(y + i);
  const isAbove = f32x4.gt(output, f32x4.splat(low));
  const isBelow = f32x4.lt(output, f32x4.splat(high));
  return v128.and(upstream, v128.and(isAbove, isBelow));
}

/** dz of one value. */
function upstreamOfOne(i: usize): f32 {
  const upstream = load<f32>(dy + i);
  if (!y) return upstream;
  const output = load<f32>(y + i);
  return output > low && output < high ? upstream : 0;
}

function gradSumsOfFour(lane: usize, start: usize, end: usize, stride: usize): void {
  const mean = v128.load(param(0, lane));
  let dzLow = f64x2.splat(0);
  let dzHigh = f64x2.splat(0);
  let dLow = f64x2.splat(0);
  let dHigh = f64x2.splat(0);
  let productLow = f64x2.splat(0);
  let productHigh = f64x2.splat(0);
  for (let i = start; i < end; i += stride) {
    const upstream = upstreamOfFour(i);
    const d = f32x4.sub(v128.load(x + i), mean);
    const product = f32x4.mul(upstream, d);
    dzLow = f64x2.add(dzLow, f64x2.promote_low_f32x4(upstream));
    dzHigh = f64x2.add(dzHigh, promoteHigh(upstream));
    dLow = f64x2.add(dLow, f64x2.promote_low_f32x4(d));
    dHigh = f64x2.add(dHigh, promoteHigh(d));
    productLow = f64x2.add(productLow, f64x2.promote_low_f32x4(product));
    productHigh = f64x2.add(productHigh, promoteHigh(product));
  }
  addFour(sum(0, lane), dzLow, dzHigh);
  addFour(sum(1, lane), dLow, dHigh);
  addFour(sum(2, lane), productLow, productHigh);
}

function gradSumsOfOne(lane: usize, start: usize, end: usize, stride: usize): void {
  const mean = load<f32>(param(0, lane));
  let ofDz: f64 = 0;
  let ofD: f64 = 0;
  let ofProduct: f64 = 0;
  for (let i = start; i < end; i += stride) {
    const upstream = upstreamOfOne(i);
    const d: f32 = load<f32>(x + i) - mean;
    ofDz += upstream;
    ofD += d;
    ofProduct += upstream * d;
  }
  addOne(sum(0, lane), ofDz);
  addOne(sum(1, lane), ofD);
  addOne(sum(2, lane), ofProduct);
}

function inputGradOfFour(lane: usize, start: usize, end: usize, stride: usize): void {
  const mean = v128.load(param(0, lane));
  const scale = v128.load(param(1, lane));
  const offset = v128.load(param(2, lane));
  const dzScale = v128.load(param(3, lane));
  for (let i = start; i < end; i += stride) {
    const upstream = upstreamOfFour(i);
    const d = f32x4.sub(v128.load(x + i), mean);
    const ofX = f32x4.add(f32x4.mul(scale, d), offset);
    v128.store(dx + i, f32x4.add(f32x4.mul(dzScale, upstream), ofX));
    if (dz) v128.store(dz + i, upstream);
  }
}

function inputGradOfOne(lane: usize, start: usize, end: usize, stride: usize): void {
  const mean = load<f32>(param(0, lane));
  const scale = load<f32>(param(1, lane));
  const offset = load<f32>(param(2, lane));
  const dzScale = load<f32>(param(3, lane));
  for (let i = start; i < end; i += stride) {
    const upstream = upstreamOfOne(i);
    const d: f32 = load<f32>(x + i) - mean;
    store<f32>(dx + i, dzScale * upstream + (scale * d + offset));
    if (dz) store<f32>(dz + i, upstream);
  }
}
