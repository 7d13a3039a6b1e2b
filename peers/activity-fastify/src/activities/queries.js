// What the service asks its database about activities. A query's name is its label everywhere.

import { sqlTime } from '../time.js'

const COLUMNS = 'position, event_id, type, item_id, source_service, correlation_id, occurred_at,' +
  ' recorded_at'

/** One index for each way to narrow the list; the rest is checked row by row. */
const page = (condition) => `SELECT ${COLUMNS} FROM activities WHERE ${condition}
  AND ($1::uuid IS NULL OR item_id = $1) AND ($2::text IS NULL OR type = $2)
  AND ($3::text IS NULL OR correlation_id = $3)
  AND position < coalesce($4, 9223372036854775807) ORDER BY position DESC LIMIT $5`

export const selectActivity = {
  name: 'select_activity',
  text: `SELECT ${COLUMNS} FROM activities WHERE event_id = $1`
}

const activitiesAll = { name: 'activities_all', text: page('true') }
const activitiesOfItem = { name: 'activities_of_item', text: page('item_id = $1') }
const activitiesOfRequest = { name: 'activities_of_request', text: page('correlation_id = $3') }

export function listQuery (filter) {
  if (filter.correlation_id !== undefined) return activitiesOfRequest
  return filter.item_id !== undefined ? activitiesOfItem : activitiesAll
}

export const activitiesAfter = {
  name: 'activities_after',
  text: `SELECT ${COLUMNS} FROM activities WHERE position > $1 ORDER BY position LIMIT $2`
}

export const activitiesNewest = {
  name: 'activities_newest',
  text: 'SELECT coalesce(max(position), 0) AS id FROM activities'
}

/**
 * The inbox and the effect of many messages, in one statement and so in one transaction. What took
 * effect before is left alone; the ids of the others come back. The ids go first and in order, then
 * the activities in the order of their arrival: all who write take their locks in this order.
 */
export const insertActivity = {
  name: 'insert_activity',
  text: `WITH fresh AS (
      INSERT INTO trunnion_inbox (message_id) SELECT id FROM unnest($1::uuid[]) AS id ORDER BY id
      ON CONFLICT DO NOTHING RETURNING message_id
    ), recorded AS (
      INSERT INTO activities (event_id, type, item_id, source_service, correlation_id, occurred_at)
      SELECT m.event_id, m.type, m.item_id, m.source_service, m.correlation_id, m.occurred_at
      FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[])
        WITH ORDINALITY
        AS m (event_id, type, item_id, source_service, correlation_id, occurred_at, n)
      JOIN fresh ON fresh.message_id = m.event_id ORDER BY m.n
    )
    SELECT message_id FROM fresh`
}

/** The values of insertActivity, column by column, for [{ event, correlationId }]. */
export function activityColumns (messages) {
  const column = (read) => messages.map(read)
  return [
    column(({ event }) => event.eventId),
    column(({ event }) => event.type),
    column(({ event }) => event.id),
    column(({ event }) => event.source_service),
    column(({ correlationId }) => correlationId),
    column(({ event }) => sqlTime(event.timestamp))
  ]
}
