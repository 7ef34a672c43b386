import {headerOf, packBlock, VALUES_IN_BLOCK, valuesOf} from './call_block';

it('holds a header and as many values as it may', () => {
  const values = Float64Array.from({length: VALUES_IN_BLOCK}, (_, i) => i / 3);
  const block = packBlock('step 1, moments of Größe', values);
  expect(headerOf(block)).toBe('step 1, moments of Größe');
  expect(valuesOf(block, values.length)).toEqual(values);
});

it('tells long headers apart that begin alike', () => {
  const long = 'layer/'.repeat(80);
  const [a, b] = ['a', 'b'].map(end =>
    headerOf(packBlock(long + end, new Float64Array())),
  );
  expect(a.slice(0, 200)).toBe(long.slice(0, 200));
  expect(a).not.toBe(b);
});

it('is of one size', () => {
  const sizes = [0, 1, VALUES_IN_BLOCK].map(
    count => packBlock('x', new Float64Array(count)).length,
  );
  expect(new Set(sizes).size).toBe(1);
});
