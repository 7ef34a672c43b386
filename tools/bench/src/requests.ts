/**
 * What is asked of a process, a page or a Python that measures, and what it answers. Each keeps
 * the data of one task and runs the contenders of that task when it is told to, so that those
 * of several processes can take turns.
 */
import type {BackendName as NodeBackendName} from '@resbatchnorm/tools-common/backends';
import {AbsentError, type Device} from '@resbatchnorm/tools-common/device';
import type {Sample} from '@resbatchnorm/tools-common/report';

import type {Direction, InferenceNetwork, Network, Phase} from './cases.js';

/** Where ResBatchNorm is measured. */
export type BackendName = NodeBackendName | 'chromium-webgl' | 'chromium-webgpu';

export type Task =
  | {kind: 'norm'; shape: readonly number[]; direction: Direction}
  | {kind: 'step'; network: Network}
  // Those below are not for Python.
  | {kind: 'dispatch'; phase: Phase}
  | {kind: 'inference'; network: InferenceNetwork}
  /** Of float32 values, on the device. */
  | {kind: 'copy'; values: number};

export interface Prepared {
  contenders: string[];
  /** Of each contender that is a network. */
  parameters?: Record<string, number>;
}

export interface Opened {
  device: Device;
  versions: Record<string, string>;
  /** Whether oneDNN computes the convolutions and the norms; absent where there is none. */
  usesOneDnn?: boolean;
  /** What of it must be known to read the numbers. */
  notes: string[];
}

export interface OpenArgs {
  /** Not in Python. */
  backend?: BackendName;
  device?: 'cpu' | 'gpu';
  /** Whether whole networks are to be trained, which takes more kernels on wasm. */
  forNetworks?: boolean;
}

/** The largest error of each quantity, relative to the largest value expected. */
export type Errors = Record<string, number>;

export interface Peak {
  /** The highest `tf.memory().numBytes` within a step. */
  numBytes: number;
  /** The same with each buffer counted once, however many tensors share it. */
  bufferBytes: number;
}

/** Milliseconds that a training spends in the hooks of a callback. */
export interface HookSamples {
  /** A step on which nothing is due. */
  idleStep: Sample;
  /** A step on which it reads back, writes or draws; absent if it never does. */
  dueStep?: Sample;
  epochEnd: Sample;
}

export interface CallbackSamples {
  /** Milliseconds of a step on which nothing is due, less those in the hooks. */
  step: Sample;
  /** By callback; `all` of them together. */
  hooks: Record<string, HookSamples>;
  /** For the event loop to run, on such a step. `fit` lets it run with no callback, too. */
  eventLoop: Sample;
}

/** The requests by name. `accuracy`, `peak` and `callbacks` are not for Python. */
export interface Requests {
  /** The first. */
  open: {args: OpenArgs; answer: Opened};
  /** Makes the data of a task; those of the task before are discarded. */
  prepare: {args: Task; answer: Prepared};
  /** Calls a contender of the task `count` times; the milliseconds of one call. */
  time: {args: {contender: string; count: number}; answer: number};
  /** The errors of each contender of a norm, against float64. */
  accuracy: {args: {shape: readonly number[]}; answer: Record<string, Errors>};
  /** The memory of one training step of a network. */
  peak: {args: {network: Network; contender: string}; answer: Peak};
  /** What the callbacks take in the training of a network. */
  callbacks: {args: {network: Network}; answer: CallbackSamples};
}

export type RequestName = keyof Requests;

/** The other side: what answers the requests. */
export type Handlers = {
  [Name in RequestName]: (
    args: Requests[Name]['args'],
  ) => Promise<Requests[Name]['answer']>;
};

/** An answer on its way between processes. */
export type Reply = {answer: unknown} | {absent: string} | {error: string};

export async function replyTo(
  handlers: Handlers,
  name: RequestName,
  args: unknown,
): Promise<Reply> {
  try {
    const handle = handlers[name] as (args: unknown) => Promise<unknown>;
    return {answer: await handle(args)};
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return error instanceof AbsentError ? {absent: message} : {error: message};
  }
}

/** A process, page or Python that measures. */
export interface Channel {
  /** @throws AbsentError if it cannot be opened here; Error if what was asked for failed. */
  ask<Name extends RequestName>(
    name: Name,
    args: Requests[Name]['args'],
  ): Promise<Requests[Name]['answer']>;
  close(): Promise<void>;
}

/** @throws What the reply tells. */
export function answerOf(reply: Reply): unknown {
  if ('answer' in reply) return reply.answer;
  if ('absent' in reply) throw new AbsentError(reply.absent);
  throw new Error(reply.error);
}
