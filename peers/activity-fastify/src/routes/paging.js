// Lists in pages: keyset paging by the position, newest first.
//
// One row more than wanted is asked for, so that the last page is known without a count.

import { writeCursor } from '../http/cursor.js'
import { pairsOf } from '../plugins/validation.js'

/** `read(position, n)` gives the n rows below a position; null: from the newest on. */
export async function answerPage (request, reply, read) {
  const { limit } = request.query
  const rows = await read(request.position, limit + 1)
  const items = rows.slice(0, limit)
  if (rows.length <= limit) return { items }
  const cursor = writeCursor(request.pattern, items.at(-1).position)
  reply.header('Link', linkToNext(request, cursor))
  return { items, next_cursor: cursor }
}

/** The request's own target with the cursor replaced (RFC 8288). */
function linkToNext (request, cursor) {
  const kept = pairsOf(request).filter(([name]) => name !== 'cursor')
  const query = [...kept, ['cursor', cursor]]
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&')
  const path = request.path.replace(/[^!#-;=?-~]/g, encodeURIComponent)
  return `<${path}?${query}>; rel="next"`
}
