// What went wrong in the database, in the words that the rest of the service thinks in.

const UNAVAILABLE_CODES = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EPIPE',
  'EHOSTUNREACH', 'ETIMEDOUT', 'EAI_AGAIN'])
// Lost connections, rolled back transactions, lack of resources, objects in use, operators, system
// errors; and a standby that has not been promoted yet.
const MAY_PASS = /^(08|40|53|55|57|58|25006)/

const isSqlState = (code) => typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)

/** The SQLSTATE, when the server itself has answered. */
export function sqlStateOf (error) {
  return error.severity !== undefined && isSqlState(error.code) ? error.code : undefined
}

/** One of: busy, timeout, unavailable, constraint, error. */
export function kindOf (error) {
  const state = sqlStateOf(error)
  if (state === undefined) return isConnectionLoss(error) ? 'unavailable' : 'error'
  if (state === '55P03' || state === '40001' || state === '40P01') return 'busy'
  if (state === '57014') return 'timeout'
  if (/^(08|57P|53)/.test(state)) return 'unavailable'
  return state.startsWith('23') ? 'constraint' : 'error'
}

function isConnectionLoss (error) {
  return UNAVAILABLE_CODES.has(error.code) || error instanceof AggregateError ||
    /connection terminated|timeout exceeded when trying to connect|connection error|not queryable/i
      .test(error.message)
}

/** Whether the same statement may well go through another time. */
export function mayPass (error) {
  const state = sqlStateOf(error)
  return state === undefined ? isConnectionLoss(error) : MAY_PASS.test(state)
}

/** One line, for people; connections to several addresses fail with several errors. */
export function reasonOf (error) {
  const first = error instanceof AggregateError ? error.errors[0] : error
  return String(first?.message || first?.code || first).split('\n')[0]
}
