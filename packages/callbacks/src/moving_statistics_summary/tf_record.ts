/** The framing of records in a TFRecord file, with its checksums. */
import {crc32c} from '@aws-crypto/crc32c';

/**
 * A record: the length of the data (uint64), the masked CRC of that (uint32), the data, and
 * its masked CRC (uint32); little-endian. Source: tensorflow/core/lib/io/record_writer.h.
 */
export function toRecord(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const record = new Uint8Array(16 + data.length);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc(data), true);
  return record;
}

/**
 * Rotated and shifted, as the CRC of data that holds CRCs is a weak one. Source:
 * tensorflow/core/lib/hash/crc32c.h.
 */
function maskedCrc(data: Uint8Array): number {
  const crc = crc32c(data);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
