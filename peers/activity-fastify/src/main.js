// What the arguments ask for, and everything that must be right before anything starts.
//
// What is wrong is told on standard error, for who starts it, all at once and one a line; log lines
// begin when the service does.

import { loadConfig } from './config/load.js'
import { configText, helpText } from './config/show.js'
import { SERVICE } from './identity.js'

// They are for the log's level, also before anybody listens: not for the debugger, nor the end.
for (const signal of ['SIGUSR1', 'SIGUSR2']) process.on(signal, () => {})

const EX_USAGE = 64
const EX_CONFIG = 78

const print = (text) => process.stdout.write(text)

const ACTIONS = {
  '': async () => (await import('./service.js')).run(configured('to run')),
  '--help': () => print(helpText(SERVICE)),
  '--version': () => print(`${SERVICE.name} ${SERVICE.version} (Node.js ${process.version})\n`),
  '--openapi': async () => print(documentText((await import('./contract/contract.js')).openapi)),
  '--asyncapi': async () => print(documentText((await import('./contract/contract.js')).asyncapi)),
  '--check-config': () => print(configText(configured('to run'))),
  '--migrate': async () => (await import('./migrate.js')).migrateOnly(configured('to migrate')),
  '--health': async () => (await import('./probe.js')).probe(configured('to run'))
}

const documentText = (document) => `${JSON.stringify(document, null, 2)}\n`

function configured (purpose) {
  const { config, faults } = loadConfig(process.env, purpose)
  if (faults.length === 0) return config
  const lines = faults.map(({ name, detail }) => `${SERVICE.name}: ${name}: ${detail}\n`)
  process.stderr.write(lines.join(''))
  process.exit(EX_CONFIG)
}

const [argument = '', ...others] = process.argv.slice(2)
if (!Object.hasOwn(ACTIONS, argument) || others.length > 0) {
  const known = Object.keys(ACTIONS).filter(Boolean).join(' | ')
  process.stderr.write(`${SERVICE.name}: usage: ${SERVICE.name} [${known}]\n`)
  process.exit(EX_USAGE)
}
const status = await ACTIONS[argument]()
process.exit(typeof status === 'number' ? status : 0)
