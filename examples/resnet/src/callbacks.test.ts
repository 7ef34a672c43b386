import {Interrupt} from './callbacks.js';

describe('Interrupt', () => {
  let interrupt: Interrupt;
  let listenersBefore: number;

  beforeEach(() => {
    jest.useFakeTimers();
    jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    listenersBefore = process.listenerCount('SIGINT');
    interrupt = new Interrupt();
  });

  afterEach(() => {
    interrupt.release();
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  const listeners = () => process.listenerCount('SIGINT') - listenersBefore;

  it('turns the first Ctrl-C into a request', () => {
    expect(interrupt.requested).toBe(false);
    process.emit('SIGINT');
    expect(interrupt.requested).toBe(true);
  });

  it('takes a second one that comes at once for an echo, and leaves a later one to Node', () => {
    process.emit('SIGINT');
    jest.advanceTimersByTime(100);
    expect(listeners()).toBe(1);
    process.emit('SIGINT');
    expect(process.stderr.write).toHaveBeenCalledTimes(1);
    jest.advanceTimersByTime(1000);
    // Without a listener, SIGINT ends the process even in the middle of a step.
    expect(listeners()).toBe(0);
  });

  it('leaves no listener behind', () => {
    expect(listeners()).toBe(1);
    interrupt.release();
    expect(listeners()).toBe(0);
  });
});
