// Times of RFC 3339, to the microsecond, which a Date can't hold.

const TIME = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/
const DAY_MS = 86400000

/** { ms, micros } since 1970, or null. */
function parse (text) {
  const [, date, clock, second, fraction = '', zone] = TIME.exec(text) ?? []
  if (date === undefined) return null
  const isLeap = second === '60'
  const ms = Date.parse(`${date}T${clock}:${isLeap ? '59' : second}${zone}`) + (isLeap ? 1000 : 0)
  const isReal = new Date(`${date}T00:00:00Z`).toISOString().startsWith(date)
  if (Number.isNaN(ms) || !isReal || (isLeap && ms % DAY_MS !== 0)) return null
  return { ms, micros: fraction.padEnd(6, '0').slice(0, 6) }
}

export function isTime (text) {
  try {
    return parse(text) !== null
  } catch {
    return false // A day that no month has.
  }
}

/** A valid time as PostgreSQL reads it: in UTC, and with a year 0 that SQL doesn't know. */
export function sqlTime (text) {
  const { ms, micros } = parse(text)
  const whole = new Date(ms).toISOString().slice(0, -'.000Z'.length)
  return whole.startsWith('0000')
    ? `0001${whole.slice(4)}.${micros}Z BC`
    : `${whole}.${micros}Z`
}

/** What PostgreSQL writes, "2026-01-31 09:15:00.5+00", as RFC 3339. */
export function timeText (text) {
  const [, date, clock, fraction = '', bc] =
    /^(\S+) ([0-9:]+)(?:\.([0-9]+))?\+00( BC)?$/.exec(text)
  const day = bc === undefined ? date : date.replace(/^0001/, '0000')
  return `${day}T${clock}.${fraction.padEnd(6, '0')}Z`
}
