// The configuration: all faults at once, secrets masked, one table for reading and for --help.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import { test } from 'node:test'
import { loadConfig } from '../src/config/load.js'
import { GROUPS, VARIABLES } from '../src/config/variables.js'
import { runToEnd } from './program.js'

const EX_USAGE = 64
const EX_CONFIG = 78
const NEEDED = {
  DATABASE_URL: 'postgresql://activity:s3cret@db:5432/activity',
  AMQP_URL: 'amqp://activity:s3cret@broker:5672/'
}
const GUIDE = new URL('../../../docs/guides/configuration.md', import.meta.url)

const faultsOf = (environment) =>
  Object.fromEntries(loadConfig(environment).faults.map(({ name, detail }) => [name, detail]))

test('what is needed is enough', () => {
  assert.deepEqual(faultsOf(NEEDED), {})
})

test('all faults are told at once, one a line, and the exit status is 78', () => {
  const { status, stdout, stderr } = runToEnd('', {
    PORT: '99999', WORKERS: '0', LOG_LEVEL: 'loud', AMQP_URL: 'http://broker/'
  })
  assert.equal(status, EX_CONFIG)
  assert.equal(stdout, '')
  assert.deepEqual(stderr.trim().split('\n').map((line) => line.split(': ')[1]).sort(),
    ['AMQP_URL', 'DATABASE_URL', 'LOG_LEVEL', 'PORT', 'WORKERS'])
  assert.match(stderr,
    /^activity: PORT: found "99999"; allowed: a whole number from 0 to 65535$/m)
})

test('a fault shows no password', () => {
  const wrong = { ...NEEDED, DATABASE_URL: 'postgresql://activity:s3cret@db:notaport/activity' }
  assert.doesNotMatch(JSON.stringify(faultsOf(wrong)), /s3cret/)
  const { status, stdout } = runToEnd('--check-config', NEEDED)
  assert.equal(status, 0)
  assert.match(stdout, /^DATABASE_URL=postgresql:\/\/activity:\*\*\*@db:5432\/activity$/m)
  assert.doesNotMatch(stdout, /s3cret/)
})

test('a value may come from a file, and from one place only', (t) => {
  const folder = fs.mkdtempSync('/tmp/activity-fastify-')
  t.after(() => fs.rmSync(folder, { recursive: true }))
  const file = `${folder}/port`
  fs.writeFileSync(file, '8081\n')
  assert.equal(loadConfig({ ...NEEDED, PORT_FILE: file }).config.PORT, 8081)
  assert.match(faultsOf({ ...NEEDED, PORT: '1', PORT_FILE: file }).PORT, /both PORT and PORT_FILE/)
  assert.match(faultsOf({ ...NEEDED, PORT_FILE: `${folder}/none` }).PORT_FILE,
    /No such file or directory/)
})

test('--help names every variable with its group, and the guide has the same ones', () => {
  const { status, stdout } = runToEnd('--help')
  assert.equal(status, 0)
  const named = [...stdout.matchAll(/^ {2}([A-Z_]+) \(/gm)].map(([, name]) => name)
  assert.deepEqual(named, Object.keys(VARIABLES))
  for (const title of Object.keys(GROUPS)) assert.ok(stdout.includes(`\n${title}:\n`), title)
  const guide = [...fs.readFileSync(GUIDE, 'utf8').matchAll(/^\| `([A-Z_]+)` \|/gm)]
  assert.deepEqual(guide.map(([, name]) => name).sort(), Object.keys(VARIABLES).sort())
})

test('an argument that is unknown, or one too many, is a fault of usage', () => {
  const { status, stderr } = runToEnd('--verbose')
  assert.equal(status, EX_USAGE)
  assert.match(stderr, /usage: activity/)
})
