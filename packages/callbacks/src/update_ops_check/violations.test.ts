/** What becomes of violations, whatever made them. */
import {UpdateOpsError, ViolationHandler, type UpdateOpsViolation} from './violations.js';

let warn: jest.SpyInstance;
beforeEach(() => (warn = jest.spyOn(console, 'warn').mockImplementation()));
afterEach(() => warn.mockRestore());

const violation = (
  layer: string,
  severity: UpdateOpsViolation['severity'],
  message = 'of some kind',
): UpdateOpsViolation => ({
  layer,
  className: 'ResBatchNorm',
  reason: 'never called',
  severity,
  message,
  when: 'step 1',
});

test('of none, nobody is told', () => {
  const take = jest.fn();
  new ViolationHandler(take).handle([]);
  new ViolationHandler('warn').handle([]);
  expect(take).not.toHaveBeenCalled();
  expect(warn).not.toHaveBeenCalled();
});

test('errors are thrown, and the warnings beside them are written', () => {
  const [error, warning] = [violation('a', 'error'), violation('b', 'warning')];
  const handle = () => new ViolationHandler('throw').handle([error, warning]);
  expect(handle).toThrow(UpdateOpsError);
  expect(warn.mock.calls.flat()).toEqual([
    expect.stringContaining('b (ResBatchNorm): of some kind.'),
  ]);
  expect(warn.mock.calls.flat()).not.toEqual([expect.stringContaining('a (ResBatch')]);
});

test('each layer and message is written once', () => {
  const handler = new ViolationHandler('warn');
  const all = [
    violation('a', 'warning'),
    violation('b', 'warning'),
    violation('a', 'error', 'of another kind'),
  ];
  for (const one of [...all, ...all]) handler.handle([one]);
  expect(warn).toHaveBeenCalledTimes(3);
  handler.reset();
  handler.handle(all);
  expect(warn).toHaveBeenCalledTimes(4);
});
