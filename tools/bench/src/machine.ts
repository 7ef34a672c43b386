/** What the numbers were measured on, and with. */
import {availableParallelism, cpus, totalmem} from 'node:os';

import {version_core} from '@tensorflow/tfjs-core';

export function describeMachine(): Record<string, string | number> {
  return {
    processor: cpus()[0]?.model ?? 'unnamed',
    cores: availableParallelism(),
    'memory, GiB': Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
  };
}

export function versionsHere(): Record<string, string> {
  return {Node: process.versions.node, 'TensorFlow.js': version_core};
}
