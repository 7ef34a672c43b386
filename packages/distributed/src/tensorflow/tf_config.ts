/** The environment variable TF_CONFIG, as Keras's MultiWorkerMirroredStrategy reads it. */
import {DistributedError} from '../distributed_error.js';

/** The processes of a training, and which of them this is. */
export interface Cluster {
  /** `host:port` of each, in the order of their ranks: the chief, if one is named, then the workers. */
  addresses: string[];
  rank: number;
}

/**
 * Reads, for example,
 * `{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}`.
 * There may be a `chief` besides, of one address.
 *
 * @throws DistributedError that says what is wrong with it.
 */
export function parseTfConfig(text: string): Cluster {
  const config = parseJson(text);
  const {cluster, task} = config;
  if (!isObject(cluster)) {
    throw invalid('cluster must be an object of lists of addresses', cluster);
  }
  for (const [type, addresses] of Object.entries(cluster)) {
    if (type !== 'chief' && type !== 'worker') {
      throw invalid('cluster may have chief and worker, and no other type', type);
    }
    if (!Array.isArray(addresses) || !addresses.every(isAddress)) {
      throw invalid(`cluster.${type} must be a list of addresses host:port`, addresses);
    }
  }
  const {chief = [], worker = []} = cluster as Partial<Record<string, string[]>>;
  const addresses = [...chief, ...worker];
  if (chief.length > 1) throw invalid('cluster.chief must be one address', chief);
  if (addresses.length === 0) throw invalid('cluster must name a worker', cluster);
  if (new Set(addresses).size < addresses.length) {
    throw invalid('each address in cluster must be another one', addresses);
  }
  return {addresses, rank: rankOf(task, {chief, worker})};
}

function rankOf(
  task: unknown,
  {chief, worker}: Record<'chief' | 'worker', string[]>,
): number {
  if (!isObject(task)) throw invalid('task must be an object of type and index', task);
  const {type, index} = task;
  if (type !== 'chief' && type !== 'worker') {
    throw invalid('task.type must be chief or worker', type);
  }
  const count = type === 'chief' ? chief.length : worker.length;
  if (!Number.isInteger(index) || Number(index) < 0 || Number(index) >= count) {
    throw invalid(`task.index must be that of one of ${count} in cluster.${type}`, index);
  }
  return type === 'chief' ? 0 : chief.length + Number(index);
}

function parseJson(text: string): Record<string, unknown> {
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch {
    // Not an object either.
  }
  if (!isObject(config))
    throw new DistributedError(`TF_CONFIG must be a JSON object. Received: ${text}`);
  return config;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The port last, so that an IPv6 address may stand in brackets before it. */
function isAddress(value: unknown): boolean {
  const [, port] = /^(?:[^\s,:]+|\[[\da-f:.]+\]):(\d{1,5})$/i.exec(String(value)) ?? [];
  return typeof value === 'string' && Number(port) > 0 && Number(port) < 65536;
}

function invalid(expected: string, received: unknown): DistributedError {
  return new DistributedError(
    `TF_CONFIG: ${expected}. Received: ${JSON.stringify(received)}`,
  );
}
