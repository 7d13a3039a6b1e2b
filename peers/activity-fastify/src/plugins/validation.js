// From text to values: all faults of path and query are told at once, before any handler runs.

import fp from 'fastify-plugin'
import { faultsOf, validatorCompiler } from '../contract/validation.js'
import { readCursor } from '../http/cursor.js'
import { queryOf } from '../http/paths.js'
import { Problem, invalid, malformedPath } from '../problems.js'

const PARTS = { params: 'path', querystring: 'query' }
const PAIRS_MAX = 64
const INTEGER = /^-?(?:0|[1-9][0-9]{0,14})$/

async function validation (app) {
  app.setValidatorCompiler(validatorCompiler)
  app.decorateRequest('position', null)

  app.addHook('preValidation', async (request) => {
    if (!request.isOperation) return
    refuseZeros(request.params)
    const { schema } = request.routeOptions
    request.query = typed(pairsOf(request), schema.querystring)
    const faults = [
      ...faultsIn(request, 'params', request.params),
      ...faultsIn(request, 'querystring', request.query),
      ...cursorFaults(request)
    ]
    if (faults.length > 0) throw invalid(faults)
  })
}

/** No text in the database holds one. */
function refuseZeros (params) {
  if (Object.values(params).some((value) => value.includes('\0'))) throw malformedPath()
}

function faultsIn (request, part, values) {
  const isValid = request.getValidationFunction(part)
  if (isValid(values)) return []
  return faultsOf(isValid.errors).map(({ pointer, detail }) =>
    ({ parameter: pointer.split('/')[1], in: PARTS[part], detail }))
}

/** The page's position, which the cursor holds. */
function cursorFaults (request) {
  const { cursor } = request.query
  if (typeof cursor !== 'string' || !/^[A-Za-z0-9_-]+$/.test(cursor)) return []
  request.position = readCursor(request.pattern, cursor)
  return request.position === null
    ? [{ parameter: 'cursor', in: 'query', detail: 'is not a cursor that this list has given' }]
    : []
}

// ---- The query ---------------------------------------------------------------------

/** [name, value] in their order. */
export function pairsOf (request) {
  const parts = queryOf(request.raw.url).split('&').filter(Boolean)
  if (parts.length > PAIRS_MAX) {
    throw new Problem('bad-request', `The query has more than ${PAIRS_MAX} parameters.`)
  }
  return parts.map((part) => {
    const at = part.indexOf('=')
    return at < 0 ? [decoded(part), ''] : [decoded(part.slice(0, at)), decoded(part.slice(at + 1))]
  })
}

function decoded (text) {
  try {
    const value = decodeURIComponent(text.replaceAll('+', ' '))
    if (!/[\0\x80-\xff]/.test(text) && !value.includes('\0')) return value
  } catch {
    // It is told below.
  }
  throw new Problem('bad-request', 'The query is not valid: each % has to stand with two' +
    ' hexadecimal digits, for UTF-8 without zeros.')
}

/** By name; what is given twice is an array, which no parameter's schema takes. */
function typed (pairs, schema) {
  const query = {}
  for (const [name, text] of pairs) {
    const isInteger = schema.properties[name]?.type === 'integer' && INTEGER.test(text)
    const value = isInteger ? Number(text) : text
    query[name] = Object.hasOwn(query, name) ? [query[name], value].flat() : value
  }
  return query
}

export default fp(validation, { name: 'validation', dependencies: ['requests'] })
