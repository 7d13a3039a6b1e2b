// Where a forked process begins: `forked.js ROLE OPENED_AT`. It does what its parent calls for, and
// is gone when its parent is, however that went: node:cluster sees to it.

import cluster from 'node:cluster'
import { loadConfig } from '../config/load.js'
import { SERVICE } from '../identity.js'
import { openLog } from '../telemetry/log.js'
import { Body } from './body.js'
import { Calls } from './calls.js'

// A terminal signals the whole group; what that means is the parent's to say.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2']) process.on(signal, () => {})
cluster.worker.on('error', () => process.exit(1)) // What was said can't be told to anybody.

const [role, openedAt] = process.argv.slice(2)
const { config } = loadConfig(process.env) // The parent has found no fault in it.
const logging = openLog(SERVICE, config.LOG_LEVEL, { isShared: true })

const opened = Promise.withResolvers()
const inBody = (name) => async (...args) => (await opened.promise)[name](...args)
const NAMES = ['listen', 'serve', 'drainRequests', 'drainMessages', 'closeDatabases', 'faults',
  'metrics', 'setLevel']
const parent = new Calls(process, {
  ...Object.fromEntries(NAMES.map((name) => [name, inBody(name)])),
  async end () {
    await inBody('end')()
    logging.close()
    process.exit(0)
  }
})
opened.resolve(await Body.open(config, [role], {
  logging,
  openedAt: Number(openedAt),
  whole: { readiness: () => parent.call('readiness'), metrics: () => parent.call('metrics') }
}))
