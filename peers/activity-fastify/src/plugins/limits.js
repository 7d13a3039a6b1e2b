// Limits of size and number, each told to whoever meets it.

import fp from 'fastify-plugin'
import { lingerWhileItComes } from '../http/lingering.js'
import { Problem, busy } from '../problems.js'

const COLON_SPACE_AND_LINE_END = 4

async function limits (app, { config, state }) {
  let inFlight = 0

  app.addHook('onRequest', async (request) => {
    if (hasBody(request.headers)) lingerWhileItComes(request.raw)
    const { HEADER_BYTES_MAX: headerMax, BODY_BYTES_MAX: bodyMax } = config
    const target = request.raw.url.length
    if (target > headerMax) {
      throw new Problem('uri-too-long',
        `The target has ${target} bytes; at most ${headerMax} are read.`)
    }
    const header = headerBytes(request.raw)
    if (header > headerMax) {
      throw new Problem('header-fields-too-large',
        `The header has ${header} bytes; at most ${headerMax} are read.`)
    }
    const body = Number(request.headers['content-length'] ?? 0)
    if (body > bodyMax) {
      throw new Problem('content-too-large',
        `The body has ${body} bytes; at most ${bodyMax} are read.`,
        { headers: { Connection: 'close' } })
    }
  })

  // Only who waits to be asked for a body that will be read is asked for it.
  app.addHook('preParsing', async (request, reply, payload) => {
    if (request.raw.expectsContinue) reply.raw.writeContinue()
    return payload
  })

  app.addHook('preValidation', async (request) => {
    if (request.isOperation && !state.isServing) {
      throw busy('service-unavailable', 1, 'The service is starting.')
    }
  })

  app.addHook('preHandler', async (request, reply) => {
    if (!request.isOperation || request.routeOptions.config.streams) return
    if (inFlight >= config.REQUESTS_MAX) {
      throw busy('service-unavailable', 1, `${config.REQUESTS_MAX} requests are being worked on,` +
        ' which is as many as may be at a time.')
    }
    inFlight += 1
    reply.raw.once('close', () => { inFlight -= 1 })
  })

  app.server.on('checkContinue', (request, response) => {
    request.expectsContinue = true
    app.server.emit('request', request, response)
  })
}

function hasBody (headers) {
  return 'content-length' in headers || 'transfer-encoding' in headers
}

function headerBytes ({ rawHeaders }) {
  let bytes = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    bytes += rawHeaders[i].length + rawHeaders[i + 1].length + COLON_SPACE_AND_LINE_END
  }
  return bytes
}

export default fp(limits, { name: 'limits', dependencies: ['requests'] })
