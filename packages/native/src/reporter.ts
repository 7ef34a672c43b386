/** Where `setup` tells what it does. */
export interface Reporter {
  /** A step begins. */
  start(text: string): void;
  /** How far the step is. */
  update(text: string): void;
  /** The step is done. */
  done(text: string): void;
  /** Something that the user should know and that is no failure. */
  warn(text: string): void;
}
