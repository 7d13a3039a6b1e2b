// --health: asks the running service's /readyz, for containers without a client.
//
// It reads the same configuration as the service, and so knows where that listens. Ready and
// degraded are healthy: who is degraded still serves.

import { SERVICE } from './identity.js'

const TIMEOUT_MS = 2000
// Who listens on every address is asked on the loopback one.
const ASKED_AT = { '0.0.0.0': '127.0.0.1', '::': '[::1]' }

/** The exit status. */
export async function probe ({ HOST, PORT }) {
  const url = `http://${ASKED_AT[HOST] ?? (HOST.includes(':') ? `[${HOST}]` : HOST)}:${PORT}/readyz`
  try {
    const reply = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) })
    const said = await reply.text()
    ;(reply.ok ? process.stdout : process.stderr).write(`${said}\n`)
    return reply.ok ? 0 : 1
  } catch (error) {
    const why = error.cause?.message || error.message
    process.stderr.write(`${SERVICE.name}: ${url}: ${why}\n`)
    return 1
  }
}
