// The cursor of a list: where the next page begins, opaque to clients.
//
//     version (1), kind of key (1), key (8, big-endian), check (4), as base64url
//
// The check binds a cursor to its list, so that one of another list is refused. Both
// implementations of the service write the same cursors: a client may turn its pages with either.

import { hash64, wrap64 } from './hash.js'

const VERSION = 1
const KIND_INTEGER = 1
const CURSOR_BYTES = 14
const CHECKED_BYTES = 10

function checkOf (list, bytes) {
  const h = wrap64(hash64(bytes) * 31n + hash64(Buffer.from(list)))
  return Number((h ^ (h >> 32n)) & 0xffffffffn)
}

/** `list` is the pattern of the list's route, such as /api/v1/activities. */
export function writeCursor (list, position) {
  const bytes = Buffer.alloc(CURSOR_BYTES)
  bytes[0] = VERSION
  bytes[1] = KIND_INTEGER
  bytes.writeBigInt64BE(BigInt(position), 2)
  bytes.writeUInt32BE(checkOf(list, bytes.subarray(0, CHECKED_BYTES)), CHECKED_BYTES)
  return bytes.toString('base64url')
}

/** The position as text, which a bigint of the database takes whole; null: not of this list. */
export function readCursor (list, cursor) {
  const bytes = Buffer.from(cursor, 'base64url')
  if (bytes.length !== CURSOR_BYTES || bytes.toString('base64url') !== cursor) return null
  if (bytes[0] !== VERSION || bytes[1] !== KIND_INTEGER) return null
  if (bytes.readUInt32BE(CHECKED_BYTES) !== checkOf(list, bytes.subarray(0, CHECKED_BYTES))) {
    return null
  }
  return bytes.readBigInt64BE(2).toString()
}
