import * as tfl from '@tensorflow/tfjs-layers';

// npm passes Ctrl-C on to the program, which has had it from the terminal already. Within
// this time the second one is taken for the first one's echo.
const echoMs = 300;

/**
 * Turns the first Ctrl-C into a request, so that the program can finish the step it is in
 * and save. The second one ends the process at once, even in the middle of a step: Node's
 * own handling is back by then.
 */
export class Interrupt {
  requested = false;

  private readonly onSignal = () => {
    if (this.requested) return;
    this.requested = true;
    this.onRequest();
    process.stderr.write('Stopping after this step. Ctrl-C again stops at once.\n');
    setTimeout(() => this.release(), echoMs).unref();
  };

  /** `onRequest` is called at the first Ctrl-C, before it is confirmed on stderr. */
  constructor(private readonly onRequest: () => void = () => {}) {
    process.on('SIGINT', this.onSignal);
  }

  release(): void {
    process.off('SIGINT', this.onSignal);
  }
}

/** Ends `fit` after the step in which the interrupt was requested. */
export class StopOnInterrupt extends tfl.Callback {
  constructor(private readonly interrupt: Interrupt) {
    super();
  }

  override async onBatchEnd(): Promise<void> {
    if (this.interrupt.requested) this.model.stopTraining = true;
  }
}
