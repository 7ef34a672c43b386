/** Whether replicas that train together have the same moving statistics, to the bit. */
import {
  replicaGroup,
  statisticsOf,
  weightName,
  type Layer,
} from '@resbatchnorm/layer/introspection';
import type * as tfl from '@tensorflow/tfjs-layers';

import {differsOnReplicas, type Finding} from './violations.js';

/**
 * Compares checksums over the replicas, which all have to call this; without replicas it does
 * nothing.
 *
 * @returns a list for each layer.
 * @throws what `ReplicaGroup.gather` throws.
 */
export async function compareReplicas(layers: readonly Layer[]): Promise<Finding[][]> {
  const group = replicaGroup();
  if (group === null || group.size === 1) return layers.map(() => []);
  const statistics = layers.flatMap(layer =>
    statisticsOf(layer).map(weight => ({layer, weight})),
  );
  const own = await Promise.all(statistics.map(({weight}) => checksum(weight)));
  const rows = group.gather('checksums of moving statistics', Float64Array.from(own));
  return layers.map(layer =>
    statistics.flatMap(({layer: holder, weight}, i) => {
      const ranks = [...rows.keys()].filter(rank => rows[rank][i] !== rows[0][i]);
      if (holder !== layer || ranks.length === 0) return [];
      return [differsOnReplicas(weightName(weight), ranks)];
    }),
  );
}

/** FNV-1a of 32 bits, of the bytes. */
async function checksum(weight: tfl.LayerVariable): Promise<number> {
  const {buffer, byteOffset, byteLength} = await weight.read().data();
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  return (
    bytes.reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193), 0x811c9dc5) >>> 0
  );
}
