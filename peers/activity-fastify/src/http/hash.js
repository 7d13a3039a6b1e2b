// The hash that cursors and the ids of nameless messages are made with, bit for bit as the service
// in C has it: what one implementation gave out, the other has to know again.

const MASK = 0xffffffffffffffffn
const FACTOR = 0x9e3779b97f4a7c15n
const START = 0xcbf29ce484222325n

function mix (h, word) {
  h = ((h ^ word) * FACTOR) & MASK
  return h ^ (h >> 32n)
}

/** 64 bits over bytes, eight at a time; the length goes in first, so zeros at the end count. */
export function hash64 (bytes) {
  let h = mix(START, BigInt(bytes.length))
  const whole = bytes.length - bytes.length % 8
  for (let at = 0; at < whole; at += 8) h = mix(h, bytes.readBigUInt64LE(at))
  if (whole < bytes.length) {
    const rest = Buffer.alloc(8)
    bytes.copy(rest, 0, whole)
    h = mix(h, rest.readBigUInt64LE(0))
  }
  return mix(h, 0n)
}

export const wrap64 = (number) => number & MASK
