/**
 * The argument `callbacks` of `fit` and `fitDataset`. tfjs-layers looks at the first entry alone:
 * if that is an instance it takes all entries for instances, and else for plain objects of
 * functions, the instances and classes among them as well, which then do nothing.
 */
import {describe, ValueError} from '@resbatchnorm/layer/introspection';
import * as tfl from '@tensorflow/tfjs-layers';

/** A class of callbacks, with the name that messages give it, however a bundler renames it. */
export interface CallbackClass {
  readonly className: string;
  /** Of the constructor: 0 if it needs no arguments. */
  readonly length: number;
}

/** `new ProgressBar()`, or `new ModelCheckpoint({…})` where arguments are needed. */
export function newCall({className, length}: CallbackClass): string {
  return `new ${className}(${length === 0 ? '' : '{…}'})`;
}

/** What is thrown where a class was passed in place of an instance. */
export function classError(callback: CallbackClass): ValueError {
  const {className, length} = callback;
  const rest = length === 0 ? '' : ' with the arguments that it needs';
  return new ValueError(
    `${className}: callbacks must be instances: ${newCall(callback)}${rest}. ` +
      `Received: the class ${className} itself`,
  );
}

/** Says, also to a second copy of this module, that the methods are wrapped already. */
const ADMITTED = Symbol.for('@resbatchnorm/callbacks/plain_objects');

interface CallbackArgs {
  callbacks?: unknown;
  yieldEvery?: tfl.ModelFitArgs['yieldEvery'];
}

/**
 * Lets plain objects of functions, such as those of `tfvis.show.fitCallbacks`, stand beside
 * instances in the argument `callbacks`, in any order. Further calls do nothing. What holds no
 * instance, or no plain object, is passed on as it is.
 */
export function admitPlainObjects(): void {
  const model = tfl.LayersModel.prototype as tfl.LayersModel & {[ADMITTED]?: true};
  if (model[ADMITTED]) return;
  model[ADMITTED] = true;
  const {fit, fitDataset} = model;
  // A Sequential calls these of the model inside of it.
  model.fit = async function (x, y, args) {
    return fit.call(this, x, y, withInstances(args));
  };
  model.fitDataset = async function (dataset, args) {
    return fitDataset.call(this, dataset as never, withInstances(args) as never);
  };
}

function withInstances<Args extends CallbackArgs | undefined>(args: Args): Args {
  const {callbacks, yieldEvery} = args ?? {};
  if (!Array.isArray(callbacks)) return args;
  if (callbacks.some(isInstance)) checkEntries(callbacks);
  if (!callbacks.some(isInstance) || !callbacks.some(isPlain)) return args;
  const instances = callbacks.map(entry =>
    isPlain(entry) ? new tfl.CustomCallback(entry, yieldEvery) : entry,
  );
  return {...args, callbacks: instances};
}

/** What tfjs-layers calls of a plain object. */
const hookNames = [
  'onTrainBegin',
  'onTrainEnd',
  'onEpochBegin',
  'onEpochEnd',
  'onBatchBegin',
  'onBatchEnd',
  'onYield',
];

/** What tfjs-layers fails on without a word of it, as the `false` of `[check, isLong && bar]`. */
function checkEntries(callbacks: readonly unknown[]): void {
  callbacks.forEach((entry, i) => {
    // Classes of callbacks say by themselves that they are no instances.
    if (typeof entry === 'function' && 'className' in entry) return;
    if (isInstance(entry) || (isObject(entry) && hookNames.some(name => name in entry))) {
      return;
    }
    const isPromise = isObject(entry) && typeof entry['then'] === 'function';
    throw new ValueError(
      `callbacks[${i}] must be a callback: an instance, or a plain object with ` +
        `${hookNames.join(', ')}. Received: ` +
        (isPromise ? 'a promise, which must be awaited first' : describe(entry)),
    );
  });
}

/** Not by its class: another copy of tfjs-layers has one of its own. */
function isInstance(entry: unknown): boolean {
  return isObject(entry) && typeof entry['setParams'] === 'function';
}

function isPlain(entry: unknown): entry is tfl.CustomCallbackArgs {
  return isObject(entry) && typeof entry['setParams'] !== 'function';
}

function isObject(entry: unknown): entry is Record<string, unknown> {
  return typeof entry === 'object' && entry !== null;
}
