// Cross-origin requests (WHATWG Fetch 3.2): which web pages may read our answers. Preflights are
// answered where OPTIONS is, in problems.js, since only known paths have any.

import fastifyCors from '@fastify/cors'
import fp from 'fastify-plugin'

const EXPOSED = ['ETag', 'Idempotent-Replayed', 'Link', 'Location', 'Retry-After', 'X-Request-Id']

async function cors (app, { config }) {
  await app.register(fastifyCors, {
    origin: originOf(config.CORS_ALLOWED_ORIGINS),
    exposedHeaders: EXPOSED,
    preflight: false
  })
}

/** Browsers send origins in lower case and without a slash, so the bytes are compared. */
function originOf (text) {
  if (text === '' || text === '*') return text === '' ? false : '*'
  const allowed = new Set(text.split(',').map((origin) => origin.trim()))
  return (origin, done) => done(null, allowed.has(origin) ? origin : false)
}

export default fp(cors, { name: 'cors' })
