/** What can be wrong with a layer's update ops, in words, and the error that says so. */
import {isBuiltInBatchNorm, type Layer} from '@resbatchnorm/layer/introspection';

import {argumentError} from '../arguments.js';
import {counted} from '../counted.js';

/** Why a layer failed the check; the README of the package explains each. */
export type ViolationReason =
  | 'frozen but updated'
  | 'frozen but trained'
  | 'frozen in the step'
  | 'never called'
  | 'one value a channel'
  | 'trained in inference mode'
  | 'thawed after compile'
  | 'thawed in a frozen layer'
  | 'collected and not run'
  | 'skipped as non-finite'
  | 'non-finite statistics'
  | 'negative variance'
  | 'differs on replicas';

/** One layer that failed the check. */
export interface UpdateOpsViolation {
  /** The layer's path in the model, such as `encoder/bn_1`. */
  layer: string;
  /** The layer's class, `ResBatchNorm` or `BatchNormalization`. */
  className: string;
  reason: ViolationReason;
  /** `warning` is for what does no harm by itself: it is never thrown. */
  severity: 'error' | 'warning';
  /** The reason in a sentence, with what was seen. */
  message: string;
  /** Where in training it was: `epoch 2, batch 7`, or `step 7` of `check.step`. */
  when: string;
}

/** What is wrong with a layer; the check adds which layer, and when. */
export type Finding = Pick<UpdateOpsViolation, 'reason' | 'severity' | 'message'>;

function error(reason: ViolationReason, message: string): Finding {
  return {reason, severity: 'error', message: `${reason}: ${message}`};
}

function warning(reason: ViolationReason, message: string): Finding {
  return {...error(reason, message), severity: 'warning'};
}

export function frozenButUpdated(layer: Layer): Finding {
  return error(
    'frozen but updated',
    isBuiltInBatchNorm(layer)
      ? 'its moving statistics were updated in spite of that. The built-in layer goes on ' +
          'updating them in training mode when it is frozen; ResBatchNorm does not'
      : 'its moving statistics were written in spite of that, by an update op that was ' +
          'collected before it was frozen, or by setWeights',
  );
}

export function frozenButTrained(layer: Layer): Finding {
  return error(
    'frozen but trained',
    isBuiltInBatchNorm(layer)
      ? 'gamma or beta were written in spite of that. Freezing a model freezes the weights ' +
          'of its direct layers only, and an optimizer without a list of variables trains ' +
          'the others. Set trainable = false on the layer itself'
      : 'gamma or beta were written in spite of that, by gradients that were computed ' +
          'before it was frozen, or by setWeights',
  );
}

export function frozenInTheStep(): Finding {
  return error(
    'frozen in the step',
    'it was trainable when the step began and frozen when it ended, and its update ops did ' +
      'not run. Set trainable between steps',
  );
}

const CALLED_BY =
  'Look whether it is on the way from the inputs to the loss, whether the model was applied ' +
  'with {training: true}, and whether the batch was empty';

/** @param wasCalled Whether it was in an earlier step. */
export function neverCalled(path: string, wasCalled: boolean): Finding {
  const list =
    'it may be skipped, as in a residual branch that is dropped at random (stochastic ' +
    `depth), say so: new UpdateOpsCheck({mayBeSkipped: [${JSON.stringify(path)}]})`;
  return error(
    'never called',
    wasCalled
      ? `it was called in training mode in earlier steps, and not in this one. If ${list}. ` +
          `If not: ${lowerFirst(CALLED_BY)}`
      : `it was not called in training mode in this step. ${CALLED_BY}. If ${list}`,
  );
}

/** A warning: a branch that is dropped most of the time may well be dropped that often. */
export function alwaysSkipped(steps: number): Finding {
  return warning(
    'never called',
    'mayBeSkipped names it, and it was not called in training mode in any of the last ' +
      `${counted(steps, 'step')}. ${CALLED_BY}`,
  );
}

function lowerFirst(text: string): string {
  return text[0].toLowerCase() + text.slice(1);
}

/** All batches so are an error; one behind a larger one is the rest of an epoch, a warning. */
export function oneValueAChannel(layer: Layer, isRest: boolean): Finding {
  const {renorm, virtualBatchSize} = layer.getConfig();
  // Renorm normalizes by other statistics than the batch's.
  const output = renorm ? '' : 'the output is beta, whatever the input, and ';
  if (isRest) {
    return warning(
      'one value a channel',
      'this batch had one value a channel, and the batches before it more. One value has ' +
        `variance 0: ${output}the moving variance is pulled towards 0. Leave such a last ` +
        'batch out, in tf.data by batch(size, false), or choose another batchSize',
    );
  }
  const remedy =
    virtualBatchSize === 1
      ? 'Give the layer a larger virtualBatchSize'
      : 'Train with larger batches';
  return error(
    'one value a channel',
    `the batch had one value a channel. One value has variance 0: ${output}the moving ` +
      `variance goes to 0, so that inference mode is useless. ${remedy}, or freeze the ` +
      'layer: trainable = false, or freezeBatchNorm(model) of @resbatchnorm/layer',
  );
}

export function trainedInInferenceMode(): Finding {
  return error(
    'trained in inference mode',
    'gamma or beta were trained on batches that were normalized by the moving statistics, ' +
      'which did not follow them. Call the model with {training: true}, or freeze the layer ' +
      'if it is to stay as it is',
  );
}

export function thawedAfterCompile(): Finding {
  return error(
    'thawed after compile',
    'its moving statistics were updated, and gamma and beta not trained: it was frozen when ' +
      'the model was compiled. Call model.compile() again after trainable was set',
  );
}

/**
 * A warning, as the statistics may be meant to follow the batches by themselves.
 *
 * @param holder What is frozen around the layer, and does not give gamma and beta away.
 */
export function thawedInFrozen({name}: Layer): Finding {
  return warning(
    'thawed in a frozen layer',
    `its moving statistics are updated, and gamma and beta not trained: '${name}' around ` +
      `it has trainable = false. Set trainable = true on '${name}' and then false on what ` +
      'in it is to stay as it is, or freeze this layer, too',
  );
}

/**
 * A warning, as it may be meant: a ResBatchNorm goes by the last word.
 *
 * @param affine Those of gamma and beta that were trained.
 */
export function trainedInFrozen({name}: Layer, affine: readonly string[]): Finding {
  const trained = affine.length > 0 ? `, and ${affine.join(' and ')} trained` : '';
  return warning(
    'thawed in a frozen layer',
    `its moving statistics are updated${trained}, although '${name}' around it has ` +
      'trainable = false: it was thawed, or added there, after that. If that is meant, ' +
      `nothing need be done; else set trainable = false on '${name}' again, once all its ` +
      'layers are added',
  );
}

export function collectedAndNotRun(made: number, run: number): Finding {
  return error(
    'collected and not run',
    `update ops made in this step: ${made}, run: ${run}. Run what ` +
      'collectUpdateOps returned, with updateOps.run(), before the step ends',
  );
}

/** All updates skipped is an error, as the statistics stood still; some, a warning. */
export function skippedAsNonFinite(skipped: number, run: number): Finding {
  const finding = skipped >= run ? error : warning;
  return finding(
    'skipped as non-finite',
    (run === 1 ? 'the last update' : `${skipped} of the last ${run} updates`) +
      '. The mean or variance of the batch was not finite, so the moving statistics were ' +
      'left as they were',
  );
}

export function nonFiniteStatistics(
  weightName: string,
  bad: number,
  size: number,
): Finding {
  return error(
    'non-finite statistics',
    `values of ${weightName} that are NaN or infinite: ${bad} of ${size}`,
  );
}

export function negativeVariance(lowest: number, bad: number, size: number): Finding {
  return error(
    'negative variance',
    `values of moving_variance below zero: ${bad} of ${size}, the lowest ${lowest}`,
  );
}

/** @param ranks Those of the replicas that have other values than replica 0. */
export function differsOnReplicas(weightName: string, ranks: readonly number[]): Finding {
  const others = `${ranks.length === 1 ? 'replica' : 'replicas'} ${ranks.join(', ')}`;
  return error(
    'differs on replicas',
    `${weightName} of ${others} is not that of replica 0. A layer with synchronized: true has ` +
      'the same on all, unless a replica writes it by itself, as by setWeights; without that, ' +
      'replicas.fitDataset averages them at the end of an epoch, and a loop of your own does not',
  );
}

/** One headline, then one line a layer. */
function formatViolations(violations: readonly UpdateOpsViolation[]): string {
  const layers = new Set(violations.map(violation => violation.layer)).size;
  const ofLayers = counted(layers, 'batch-norm layer');
  const isFailure = violations.some(({severity}) => severity === 'error');
  const headline = isFailure ? `${ofLayers} failed` : `a warning about ${ofLayers}`;
  return [
    `UpdateOpsCheck, ${violations[0].when}: ${headline}.`,
    ...violations.map(
      ({layer, className, message}) => `${layer} (${className}): ${message}.`,
    ),
  ].join('\n  ');
}

/** Thrown by `UpdateOpsCheck`: the message has a line for each layer that failed, with why. */
export class UpdateOpsError extends Error {
  override readonly name = 'UpdateOpsError';

  constructor(readonly violations: readonly UpdateOpsViolation[]) {
    super(formatViolations(violations));
  }
}

export type OnViolation =
  'throw' | 'warn' | ((violations: readonly UpdateOpsViolation[]) => void);

/** Does with violations what the `onViolation` argument says. */
export class ViolationHandler {
  private readonly warned = new Set<string>();

  constructor(private readonly onViolation: OnViolation) {
    if (!['throw', 'warn'].includes(onViolation as string) && !isFunction(onViolation)) {
      const expected = "'throw', 'warn' or a function";
      throw argumentError('UpdateOpsCheck', 'onViolation', expected, onViolation);
    }
  }

  /** @throws UpdateOpsError, or what the function that was given for this throws. */
  handle(violations: readonly UpdateOpsViolation[]): void {
    if (violations.length === 0) return;
    if (isFunction(this.onViolation)) {
      this.onViolation(violations);
      return;
    }
    const throws = this.onViolation === 'throw';
    const errors = violations.filter(({severity}) => throws && severity === 'error');
    this.warn(violations.filter(violation => !errors.includes(violation)));
    if (errors.length > 0) throw new UpdateOpsError(errors);
  }

  /** Lets warnings that were given already be given again. */
  reset(): void {
    this.warned.clear();
  }

  /** Thousands of steps that fail in the same way give one warning. */
  private warn(violations: readonly UpdateOpsViolation[]): void {
    const key = ({layer, message}: UpdateOpsViolation) => `${layer}: ${message}`;
    const fresh = violations.filter(violation => !this.warned.has(key(violation)));
    fresh.forEach(violation => this.warned.add(key(violation)));
    if (fresh.length > 0) console.warn(formatViolations(fresh));
  }
}

function isFunction(value: OnViolation): value is Exclude<OnViolation, string> {
  return typeof value === 'function';
}
