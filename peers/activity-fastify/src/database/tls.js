// TLS to the database by the variables of libpq, which all implementations take: node-postgres
// knows PGSSLMODE and nothing of PGSSLROOTCERT. What DATABASE_URL itself says comes before these.

import fs from 'node:fs'

const WITHOUT = new Set([undefined, '', 'disable', 'allow', 'no-verify'])

/** The option `ssl` of a connection, or undefined where node-postgres' own reading is enough. */
export function tlsFrom ({ PGSSLMODE, PGSSLROOTCERT }) {
  if (WITHOUT.has(PGSSLMODE) || !PGSSLROOTCERT) return undefined
  return {
    /** Asked at each connection, as libpq reads its file: authorities are renewed meanwhile. */
    get ca () {
      try {
        return fs.readFileSync(PGSSLROOTCERT)
      } catch {
        return [] // Nobody is trusted until the file is back.
      }
    }
  }
}
