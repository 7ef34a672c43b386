/** Why there is no Chromium to run in; the message says what to do. */
export class ChromiumError extends Error {
  override readonly name = 'ChromiumError';
}
