// Pages beside the contract's routes: health, metrics, the documents, the docs page, problem types.

import etag from '@fastify/etag'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { asyncapi, openapi } from '../contract/contract.js'
import { Problem, TYPES } from '../problems.js'
import { metricsPage } from '../telemetry/metrics.js'

const METRICS_TYPES = ['text/plain', 'application/openmetrics-text; version=1.0.0',
  'application/openmetrics-text']
const PAGE = { config: { page: true } }

// The page asks nobody but this service, and is held to that.
const CONTENT_SECURITY_POLICY = {
  'default-src': "'none'",
  'script-src': "'self'",
  'style-src': "'self' 'unsafe-inline'",
  'img-src': "'self' data:",
  'font-src': "'self' data:",
  'connect-src': "'self'",
  'base-uri': "'none'",
  'form-action': "'none'",
  'frame-ancestors': "'none'"
}

export default async function pages (app, options) {
  app.addHook('onRoute', (route) => { route.config = { ...route.config, page: true } })
  await app.register(health, options)
  await app.register(metrics, options)
  await app.register(documents)
  await app.register(problemTypes)
}

async function health (app, { service, state, whole }) {
  app.addHook('onSend', async (_request, reply) => { reply.header('Cache-Control', 'no-store') })

  app.get('/livez', PAGE, async () => ({
    status: 'alive',
    service: service.name,
    version: service.version,
    uptime_s: (Date.now() - state.openedAt) / 1000
  }))

  app.get('/readyz', PAGE, async (_request, reply) => {
    const told = await whole.readiness()
    if (!['ready', 'degraded'].includes(told.status)) reply.code(503).header('Retry-After', '1')
    return told
  })
}

async function metrics (app, { whole }) {
  app.get('/metrics', PAGE, async (request, reply) => {
    const wanted = request.accepts().type(METRICS_TYPES) || METRICS_TYPES[0]
    const page = await metricsPage(await whole.metrics(), wanted !== METRICS_TYPES[0])
    return reply.header('Cache-Control', 'no-store').type(page.type).send(page.text)
  })
}

async function documents (app) {
  await app.register(etag)
  app.addHook('onSend', async (_request, reply) => {
    reply.headers({ 'Cache-Control': 'no-cache', 'X-Content-Type-Options': 'nosniff' })
  })

  for (const [name, document] of Object.entries({ openapi, asyncapi })) {
    const text = JSON.stringify(document)
    app.get(`/${name}.json`, PAGE, async (_request, reply) =>
      reply.type('application/json').send(text))
  }

  await app.register(swagger, { mode: 'static', specification: { document: openapi } })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    logo: null,
    staticCSP: CONTENT_SECURITY_POLICY,
    uiConfig: {
      url: '/openapi.json', validatorUrl: null, tryItOutEnabled: true, displayRequestDuration: true
    }
  })
}

async function problemTypes (app) {
  app.get('/problems/:slug', PAGE, async (request, reply) => {
    const { slug } = request.params
    if (!Object.hasOwn(TYPES, slug)) {
      throw new Problem('not-found', 'There is no such type of problem.')
    }
    reply.header('Vary', 'Accept')
    return request.accepts().type(['application/json', 'text/html']) === 'text/html'
      ? reply.type('text/html; charset=utf-8').send(htmlOf(slug, TYPES[slug]))
      : jsonOf(slug, TYPES[slug])
  })
}

const jsonOf = (slug, { status, title, meaning }) =>
  ({ type: `/problems/${slug}`, title, status, description: meaning })

const escaped = (text) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)

function htmlOf (slug, { status, title, meaning }) {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${slug}</title>
<h1>${escaped(title)}</h1>
<p>Status ${status}, problem type <code>${slug}</code>.</p>
<p>${escaped(meaning)}</p>
</html>
`
}
