// Dead letters, for people: the messages that could not take effect, and the way back.
//
// A replayed message keeps its id: should the first delivery have taken effect after all, the inbox
// knows it. It goes through the default exchange to this service's queue alone: others that
// listened to the same event have had it.

import { routeOf } from '../contract/contract.js'
import { NOTIFY } from '../messaging/relay.js'
import { queueOf } from '../messaging/topology.js'
import { Problem } from '../problems.js'
import { answerPage } from './paging.js'

const COLUMNS = `position, id, type, source_service, routing_key, correlation_id, reason,
  headers::json AS headers, body, occurred_at, died_at, deaths, replayed_at`

const selectDeadLetter = {
  name: 'select_dead_letter',
  text: `SELECT ${COLUMNS} FROM trunnion_dead_letters WHERE id = $1`
}
const listDeadLetters = {
  name: 'list_dead_letters',
  text: `SELECT ${COLUMNS} FROM trunnion_dead_letters WHERE ($1::text IS NULL OR type = $1)
    AND position < coalesce($2, 9223372036854775807) ORDER BY position DESC LIMIT $3`
}
const markReplayed = {
  name: 'mark_replayed',
  text: `UPDATE trunnion_dead_letters SET replayed_at = clock_timestamp() WHERE id = $1
    RETURNING ${COLUMNS}`
}
const sendBack = {
  name: 'trunnion_outbox',
  text: `INSERT INTO trunnion_outbox (message_id, exchange, routing_key, type, app_id, occurred_at,
      correlation_id, headers, body)
    SELECT id, '', $2, type, source_service, coalesce(occurred_at, died_at), correlation_id,
      headers, body FROM trunnion_dead_letters WHERE id = $1`
}

export default async function deadLetters (app, { service, database, relay }) {
  app.route({
    ...routeOf('get_dead_letters'),
    handler: (request, reply) => answerPage(request, reply, async (position, n) => {
      const rows = await database.read(listDeadLetters, [request.query.type, position, n])
      return rows.map(letterOf)
    })
  })

  app.route({
    ...routeOf('get_dead_letters_by_id'),
    handler: async (request) =>
      letterOf(found(await database.read(selectDeadLetter, [request.params.id])))
  })

  app.route({
    ...routeOf('post_dead_letters_by_id_replay'),
    async handler (request, reply) {
      const text = await reply.once(202, async (run) => {
        const letter = found(await run(markReplayed, [request.params.id]))
        await run(sendBack, [letter.id, queueOf(service.name)])
        // Only when our own relay can't publish, so that another replica's hears of it.
        if (relay.fault !== '') await run(NOTIFY, [])
        return letterOf(letter)
      })
      relay.wake()
      return text
    }
  })
}

function found (rows) {
  if (rows.length === 0) throw new Problem('not-found', 'What the path names does not exist.')
  return rows[0]
}

/** What is not known is not there. */
const letterOf = (row) =>
  Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null))
