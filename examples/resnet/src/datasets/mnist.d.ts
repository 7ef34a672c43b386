/** The parts of the package `mnist` that are used here; it comes without types. */
declare module 'mnist' {
  interface Digit {
    /** How many images of this digit there are. */
    length: number;
    /** Image `index`: 28·28 values from 0 to 1, rounded to three decimals. */
    get(index: number): number[];
  }
  const digits: Record<number, Digit>;
  export default digits;
}
