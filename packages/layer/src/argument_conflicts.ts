/** Arguments that are right each by itself and make no sense together. */
import {describe} from './errors.js';
import type {ResBatchNormArgs} from './arguments.js';

interface Conflict {
  is(args: ResBatchNormArgs): boolean;
  /** The arguments that are at odds, to be shown. */
  between: (keyof ResBatchNormArgs)[];
  why: string;
}

const isSet = (value: unknown) =>
  value !== undefined && value !== null && value !== false;

/** Arguments of which one alone may be set. */
function exclusive(
  a: keyof ResBatchNormArgs,
  b: keyof ResBatchNormArgs,
  why: string,
): Conflict {
  return {is: args => isSet(args[a]) && isSet(args[b]), between: [a, b], why};
}

/** An argument that does nothing unless another is set. */
function needs(
  a: keyof ResBatchNormArgs,
  b: keyof ResBatchNormArgs,
  why: string,
): Conflict {
  return {is: args => isSet(args[a]) && !isSet(args[b]), between: [a, b], why};
}

/** An argument about moving statistics, where there are none. */
function untracked(
  key: keyof ResBatchNormArgs,
  isGiven: (args: ResBatchNormArgs) => boolean = args => isSet(args[key]),
): Conflict {
  return {
    is: args => args.trackMovingStatistics === false && isGiven(args),
    between: ['trackMovingStatistics', key],
    why: 'there are no moving statistics that it could apply to',
  };
}

const isCumulative = (args: ResBatchNormArgs) => args.momentum === null;

const conflicts: Conflict[] = [
  exclusive(
    'renorm',
    'virtualBatchSize',
    'the statistics of parts of a batch are not renormalized',
  ),
  exclusive('renorm', 'zeroDebiasMovingMean', 'renorm has moving statistics of its own'),
  exclusive(
    'renorm',
    'unbiasedMovingVariance',
    'renorm averages the standard deviation, not the variance',
  ),
  {
    is: args => isSet(args.renorm) && isCumulative(args),
    between: ['renorm', 'momentum'],
    why: 'renorm needs a momentum',
  },
  {
    is: args => isSet(args.zeroDebiasMovingMean) && isCumulative(args),
    between: ['zeroDebiasMovingMean', 'momentum'],
    why: 'a plain average needs no correction',
  },
  {
    is: args => isSet(args.zeroDebiasMovingMean) && args.momentum === 1,
    between: ['zeroDebiasMovingMean', 'momentum'],
    why: 'an average that gathers no weight can not be corrected for it',
  },
  exclusive(
    'virtualBatchSize',
    'adjustment',
    'an adjustment is made for the shape of a whole batch',
  ),
  needs('renormClipping', 'renorm', 'it bounds what renorm does'),
  needs('renormMomentum', 'renorm', 'it is the momentum of renorm alone'),
  {
    is: ({renormClipping}) =>
      renormClipping?.rmin != null &&
      renormClipping.rmax != null &&
      renormClipping.rmax < renormClipping.rmin,
    between: ['renormClipping'],
    why: 'rmax must not be less than rmin',
  },
  untracked('renorm'),
  untracked('unbiasedMovingVariance'),
  untracked('zeroDebiasMovingMean'),
  untracked('momentum', isCumulative),
];

/** What is wrong with the arguments together, or null. */
export function conflictIn(args: ResBatchNormArgs): string | null {
  const conflict = conflicts.find(({is}) => is(args));
  if (conflict === undefined) return null;
  const {between, why} = conflict;
  const received = between.map(key => `${key} ${describe(args[key])}`).join(', ');
  return between.length === 1
    ? `${between[0]}: ${why}. Received: ${received}`
    : `${between.join(' and ')} do not go together: ${why}. Received: ${received}`;
}
