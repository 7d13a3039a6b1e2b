// GET /activities/stream: server-sent events, read from the table.
//
// A stream reads rows after its last id, one batch at a time; the next when the batch before has
// gone out to the client and there may be more. So a slow client holds one batch at most. Each
// keepalive is followed by a reading, as a net under notifications that were missed.

import { once } from 'node:events'
import { Readable } from 'node:stream'
import { activitiesAfter, activitiesNewest } from '../activities/queries.js'
import { routeOf } from '../contract/contract.js'
import { mayPass } from '../database/errors.js'
import { pause } from '../messaging/backoff.js'
import { busy, invalid } from '../problems.js'

const BATCH_ROWS = 100
const BUFFER_BYTES = 16 << 10
const KEEPALIVE_MS = 15000
const READ_AGAIN_MS = 1000
const RETRY_MS = 2000
const CHANNEL = 'activities'
const ID_MAX = 9223372036854775807n
const LAST_ID = /^[0-9]{1,19}$/

export default async function stream (app, { config, database, listener }) {
  const open = new Set()

  const { url, schema, ...route } = routeOf('get_activities_stream')
  app.route({
    ...route,
    url,
    schema,
    config: { streams: true },
    handlerTimeout: undefined,
    async handler (request, reply) {
      refuseBeyondLimit()
      const start = await startOf(request)
      refuseBeyondLimit()
      reply.type('text/event-stream').header('Cache-Control', 'no-cache')
      if (request.method === 'HEAD') return reply.send()
      request.streams = true
      return reply.send(follow(reply, start))
    }
  })

  app.addHook('preClose', async () => {
    for (const ending of open) ending.abort()
  })

  function refuseBeyondLimit () {
    if (open.size >= config.STREAMS_MAX) {
      throw busy('service-unavailable', 2,
        `${config.STREAMS_MAX} streams are open, which is as many as may be.`)
    }
  }

  /** After the id that the client has seen, at the start, or now. */
  async function startOf (request) {
    const seen = request.headers['last-event-id']
    if (seen) return lastId(seen)
    if (request.query.from === 'start') return '0'
    const [{ id }] = await database.read(activitiesNewest, [])
    return String(id)
  }

  function follow (reply, start) {
    const ending = new AbortController()
    open.add(ending)
    reply.raw.once('close', () => {
      ending.abort()
      open.delete(ending)
    })
    return Readable.from(events(start, ending.signal),
      { objectMode: false, highWaterMark: BUFFER_BYTES })
  }

  async function * events (lastId, signal) {
    // Listening begins before the first reading, so nothing is missed in between.
    const news = newsOf(listener, signal)
    await listener.listen(CHANNEL)
    yield `retry: ${RETRY_MS}\n\n`
    while (!signal.aborted) {
      news.forget()
      const rows = await read(lastId, signal)
      if (rows.length > 0) {
        lastId = String(rows.at(-1).position)
        yield rows.map(eventText).join('')
      }
      if (rows.length < BATCH_ROWS && !await news.within(KEEPALIVE_MS) && !signal.aborted) {
        yield ': keepalive\n\n'
      }
    }
  }

  /** A database that is away makes a pause, and ends no stream. */
  async function read (lastId, signal) {
    while (!signal.aborted) {
      try {
        return await database.read(activitiesAfter, [lastId, BATCH_ROWS])
      } catch (error) {
        if (!mayPass(error)) throw error
        await pause(READ_AGAIN_MS, signal)
      }
    }
    return []
  }
}

/** Whether something was notified since forget(); the wait for it. */
function newsOf (listener, signal) {
  let heard = false
  listener.on(CHANNEL, hear)
  signal.addEventListener('abort', () => listener.off(CHANNEL, hear))
  function hear () { heard = true }
  return {
    forget () { heard = false },
    async within (ms) {
      if (heard) return true
      const waiting = AbortSignal.any([signal, AbortSignal.timeout(ms)])
      // It fails when time is up, or the stream.
      await once(listener, CHANNEL, { signal: waiting }).catch(() => {})
      return heard
    }
  }
}

/** One line of JSON; what is in `event` must not end its line. */
function eventText (activity) {
  const type = activity.type.replace(/[\r\n\0]/g, '')
  return `id: ${activity.position}\nevent: ${type}\ndata: ${JSON.stringify(activity)}\n\n`
}

/** Behind the greatest id that an event can have, and behind any that is greater, nothing comes. */
function lastId (text) {
  if (LAST_ID.test(text)) return String(BigInt(text) < ID_MAX ? BigInt(text) : ID_MAX)
  throw invalid([{
    parameter: 'Last-Event-ID', in: 'header', detail: 'is not the id of an event of this stream'
  }])
}
