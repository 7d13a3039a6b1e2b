// Content negotiation (RFC 9110 12.5.1): who takes nothing that we have is told so before anything
// is done.

import accepts from '@fastify/accepts'
import fp from 'fastify-plugin'
import { Problem, PROBLEM_TYPE } from '../problems.js'

const JSON_TYPES = ['application/json', PROBLEM_TYPE]
const EVENT_STREAM = ['text/event-stream']

async function negotiation (app) {
  await app.register(accepts)

  app.addHook('onRequest', async (request) => {
    if (!request.isOperation) return
    const types = request.routeOptions.config.streams ? EVENT_STREAM : JSON_TYPES
    if (!request.accepts().type(types)) {
      throw new Problem('not-acceptable', `The answer comes as ${types[0]}.`)
    }
  })
}

export default fp(negotiation, { name: 'negotiation', dependencies: ['requests'] })
