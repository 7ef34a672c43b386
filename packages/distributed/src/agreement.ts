/** Whether replicas have the same: what must not differ is compared before it is used. */
import {type BinaryLike, createHash} from 'node:crypto';

import type {Collectives} from './collectives.js';
import {DistributedError} from './distributed_error.js';

/** A number for `gather`, which is another for other parts, but for one case in 2⁴⁸. */
export function checksum(parts: Iterable<BinaryLike>): number {
  const hash = createHash('sha1');
  for (const part of parts) hash.update(part);
  return hash.digest().readUIntBE(0, 6);
}

/**
 * @param facts By what they are, in words; compared as JSON.
 * @throws DistributedError that names the fact, and the ranks on which it is another than on rank 0.
 */
export function checkEqual(replicas: Collectives, facts: Record<string, unknown>): void {
  const names = Object.keys(facts);
  const texts = Object.values(facts).map(fact => JSON.stringify(fact) ?? 'undefined');
  const rows = replicas.gather(
    names.join(', '),
    Float64Array.from(texts, text => checksum([text])),
  );
  names.forEach((name, i) => {
    const others = [...rows.keys()].filter(rank => rows[rank][i] !== rows[0][i]);
    if (others.length === 0) return;
    const own = texts[i].length < 100 ? `; on rank ${replicas.rank} ${texts[i]}` : '';
    throw new DistributedError(
      `Rank ${replicas.rank}: ${name} must be the same on all replicas. Received: on rank ` +
        `${others.join(', ')} other than on rank 0${own}`,
    );
  });
}
