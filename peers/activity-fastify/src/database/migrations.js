// Migrations: the steps of the database's schema, each applied once, whoever starts first.
//
// The bookkeeping is the one of the service in C, to the byte: the same table, the same checksums,
// the same advisory lock. The applied ones must be the first of the list, name by name and checksum
// by checksum: then every database of the service got its schema in the same order. Those that come
// after the whole list are a newer version's, and are let be.

import crypto from 'node:crypto'
import fs from 'node:fs'
import pg from 'pg'
import { mayPass, reasonOf } from './errors.js'
import { tlsFrom } from './tls.js'

// "trunnion" in ASCII: the key of the advisory lock, in each database.
const LOCK_KEY = '8390898172903911278'
const TIMEOUT_MS = 60000
const TABLE = `CREATE TABLE IF NOT EXISTS trunnion_migrations (
  set_name text NOT NULL, name text NOT NULL, checksum text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (set_name, name))`
const APPLIED = `SELECT name, checksum FROM trunnion_migrations WHERE set_name = $1
  ORDER BY name COLLATE "C"`
const HAS_TABLE = `SELECT 1 FROM pg_class WHERE relname = 'trunnion_migrations'
  AND pg_table_is_visible(oid)`
const RECORD = 'INSERT INTO trunnion_migrations (set_name, name, checksum) VALUES ($1, $2, $3)'

const REPOSITORY = new URL('../../../../', import.meta.url)
const SETS = [
  { name: 'trunnion', folder: new URL('src/messaging/migrations/', REPOSITORY) },
  { name: 'activity', folder: new URL('services/activity/migrations/', REPOSITORY) }
]

/** Another attempt makes no difference: the database holds another schema than ours. */
export class MigrationsRefused extends Error {}

function migrationsOf (folder) {
  return fs.readdirSync(folder).filter((name) => name.endsWith('.sql')).sort().map((name) => {
    const sql = fs.readFileSync(new URL(name, folder), 'utf8')
    return { name, sql, checksum: crypto.createHash('sha256').update(sql).digest('hex') }
  })
}

/** Applies what is missing, or, without `apply`, throws when something is. One attempt. */
export async function migrate (databaseUrl, { apply, log }) {
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: 'trunnion-migrate',
    connectionTimeoutMillis: TIMEOUT_MS,
    ssl: tlsFrom(process.env),
    lock_timeout: TIMEOUT_MS
  })
  client.on('error', () => {}) // The statement at hand fails with it.
  await client.connect()
  try {
    if (apply) await takeTurn(client)
    for (const set of SETS) await (apply ? applyMissing : refuseMissing)(client, set, log)
  } catch (error) {
    if (error instanceof MigrationsRefused || mayPass(error) || error.severity === undefined) {
      throw error
    }
    throw new MigrationsRefused(reasonOf(error))
  } finally {
    await client.end() // Which also rolls back and unlocks.
  }
}

async function takeTurn (client) {
  await client.query(`SELECT pg_advisory_lock(${LOCK_KEY})`)
  await client.query('SET lock_timeout = 0')
  await client.query(TABLE)
}

// ---- What was applied ------------------------------------------------------------

function compare (migrations, i, applied) {
  const ours = migrations[i]
  if (!migrations.some(({ name }) => name === applied.name)) {
    throw new MigrationsRefused(
      `migration ${applied.name} was applied to this database, but is gone`)
  }
  if (ours.name !== applied.name) {
    throw new MigrationsRefused(
      `migration ${ours.name} is new, but ${applied.name}, which comes after it, was applied`)
  }
  if (ours.checksum !== applied.checksum) {
    throw new MigrationsRefused(`migration ${applied.name} has changed since it was applied`)
  }
}

async function missingOf (client, set, log) {
  const migrations = migrationsOf(set.folder)
  const { rows } = await client.query(APPLIED, [set.name])
  for (const { name } of rows.slice(migrations.length)) {
    log.warn({ set: set.name, migration: name }, "the database has a newer version's migration")
  }
  for (const [i, applied] of rows.slice(0, migrations.length).entries()) {
    compare(migrations, i, applied)
  }
  return migrations.slice(rows.length)
}

// ---- Applying --------------------------------------------------------------------

async function applyMissing (client, set, log) {
  for (const migration of await missingOf(client, set, log)) {
    await client.query('BEGIN')
    await client.query(migration.sql)
    await client.query(RECORD, [set.name, migration.name, migration.checksum])
    await client.query('COMMIT')
    log.info({ set: set.name, migration: migration.name }, 'migration applied')
  }
}

async function refuseMissing (client, set, log) {
  const { rows } = await client.query(HAS_TABLE)
  const missing = rows.length > 0 ? await missingOf(client, set, log) : migrationsOf(set.folder)
  if (missing.length > 0) throw new Error(`migration ${missing[0].name} was not applied yet`)
}
