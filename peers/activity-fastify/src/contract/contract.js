// The contract, which comes first: the documents of the service, and the schemas of each operation.
//
// Routes name an operation; what it takes and what it answers with is read from the document that
// is served. So a route and its documentation can't drift apart, and this implementation can't
// drift from the one in C: both are held against the same files.

import fs from 'node:fs'

const FOLDER = new URL('../../../../services/activity/contract/', import.meta.url)

const read = (name) => JSON.parse(fs.readFileSync(new URL(name, FOLDER), 'utf8'))

export const openapi = read('openapi.json')
export const asyncapi = read('asyncapi.json')

export const PREFIX = openapi.servers[0].url

/** Replaces each $ref into `document` by what it points at. */
function resolved (document, node) {
  if (Array.isArray(node)) return node.map((one) => resolved(document, one))
  if (node === null || typeof node !== 'object') return node
  if (node.$ref !== undefined) return resolved(document, targetOf(document, node.$ref))
  return Object.fromEntries(Object.entries(node).map(([name, value]) =>
    [name, resolved(document, value)]))
}

const targetOf = (document, ref) =>
  ref.slice(2).split('/').reduce((node, name) => node[name], document)

export const itemEventSchema = resolved(asyncapi, asyncapi.components.schemas.ItemEvent)

// ---- Operations ------------------------------------------------------------------

function operationOf (operationId) {
  for (const [path, item] of Object.entries(openapi.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      if (operation.operationId === operationId) {
        return { path, method: method.toUpperCase(), ...resolved(openapi, operation) }
      }
    }
  }
  throw new Error(`the contract has no operation ${operationId}`)
}

/** The parameters of a place as the schema of an object. */
function schemaOf (operation, place) {
  const parameters = operation.parameters.filter((parameter) => parameter.in === place)
  return {
    type: 'object',
    properties: Object.fromEntries(parameters.map(({ name, schema }) => [name, schema])),
    required: parameters.filter(({ required }) => required).map(({ name }) => name),
    additionalProperties: false
  }
}

function answersOf (operation) {
  const answers = Object.entries(operation.responses)
    .map(([status, { content }]) => [status, content?.['application/json']?.schema])
    .filter(([, schema]) => schema !== undefined)
  return Object.fromEntries(answers)
}

/** What fastify.route() takes: method, url and schema of an operation. */
export function routeOf (operationId) {
  const operation = operationOf(operationId)
  return {
    method: operation.method,
    url: PREFIX + operation.path.replace(/\{([^}]+)\}/g, ':$1'),
    schema: {
      operationId,
      params: schemaOf(operation, 'path'),
      querystring: schemaOf(operation, 'query'),
      response: answersOf(operation)
    }
  }
}

/** "/api/v1/activities/:event_id" as the contract writes it. */
export const patternOf = (url) => url.replace(/:([^/]+)/g, '{$1}')
