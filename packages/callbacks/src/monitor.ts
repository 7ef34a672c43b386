/** The quantity that a callback watches, and which of two values of it is the better one. */
import {ValueError} from '@resbatchnorm/layer/introspection';

import {argumentError, checkText} from './arguments.js';
import {logValue, type FitLogs} from './fit_callback.js';

export type MonitorMode = 'auto' | 'min' | 'max';

/** Names of metrics of which more is better. A loss is never one, whatever its output's name. */
const MORE_IS_BETTER = /acc|auc|precision|recall|f1|fmeasure|r2/i;

interface TrainingParams {
  doValidation?: unknown;
  metrics?: unknown;
}

export class Monitor {
  private readonly sign: 1 | -1;

  /** @throws ValueError if `name` or `mode` is wrong. */
  constructor(
    private readonly where: string,
    readonly name: string,
    mode: MonitorMode,
  ) {
    checkText(where, 'monitor', name);
    if (!['auto', 'min', 'max'].includes(mode))
      throw argumentError(where, 'mode', "'auto', 'min' or 'max'", mode);
    const isMore =
      mode === 'max' ||
      (mode === 'auto' && MORE_IS_BETTER.test(name) && !/loss$/i.test(name));
    this.sign = isMore ? 1 : -1;
  }

  /** Whether a value beats another by more than `minDelta`; none is beaten by any number. */
  isBetter(value: number, other: number | null, minDelta = 0): boolean {
    if (!Number.isFinite(value)) return false;
    return other === null || this.sign * (value - other) > minDelta;
  }

  /**
   * The error that the first epoch would end in is given before it.
   *
   * @throws ValueError if the quantity is one of validation, and nothing is validated.
   */
  checkParams({doValidation, metrics = []}: TrainingParams): void {
    if (doValidation || !this.name.startsWith('val_')) return;
    throw this.missing(metrics as string[], 'no validation data were given');
  }

  /** The value in the logs; undefined if it is not there. */
  async find(logs: FitLogs): Promise<number | undefined> {
    const value = logs[this.name];
    return value === undefined ? undefined : logValue(value);
  }

  /**
   * The value in the logs of an epoch.
   *
   * @throws ValueError that names what is there, if it is not.
   */
  async read(logs: FitLogs): Promise<number> {
    const value = await this.find(logs);
    if (value === undefined) throw this.missing(Object.keys(logs));
    return value;
  }

  private missing(available: readonly string[], reason?: string): ValueError {
    return new ValueError(
      `${this.where}: argument 'monitor' must name a quantity in the logs of an epoch. ` +
        `Received: ${JSON.stringify(this.name)}, with ${available.join(', ') || 'nothing'} ` +
        `in the logs${reason === undefined ? '' : `: ${reason}`}`,
    );
  }
}
