// Schemas put to work: Ajv with the contract's formats, and faults in words that help.

import { Ajv } from 'ajv'
import { isTime } from '../time.js'
import { itemEventSchema } from './contract.js'

const SHOWN_MAX = 64

export const AJV_OPTIONS = {
  allErrors: true, // Everything that is wrong is told at once.
  verbose: true, // With what was found.
  coerceTypes: false,
  useDefaults: true,
  removeAdditional: false,
  strict: false, // The contract's schemas carry annotations of OpenAPI.
  formats: {
    uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i,
    'date-time': isTime,
    int64: { type: 'number', validate: Number.isSafeInteger },
    'uri-reference': true
  }
}

const ajv = new Ajv(AJV_OPTIONS)

export const itemEventIsValid = ajv.compile(itemEventSchema)

/** The compiler of the routes' schemas, for Fastify. */
export const validatorCompiler = ({ schema }) => ajv.compile(schema)

// ---- Faults --------------------------------------------------------------------

/** Each place that is wrong, once: [{ pointer, detail }]. */
export function faultsOf (errors) {
  const faults = new Map()
  for (const error of errors) {
    const pointer = placeOf(error)
    if (!faults.has(pointer)) faults.set(pointer, { pointer, detail: detailOf(error) })
  }
  return [...faults.values()]
}

function placeOf ({ instancePath, keyword, params }) {
  const name = { required: params.missingProperty, additionalProperties: params.additionalProperty }
  const inner = name[keyword]
  return inner === undefined ? instancePath : `${instancePath}/${escaped(inner)}`
}

/** RFC 6901. */
const escaped = (name) => name.replaceAll('~', '~0').replaceAll('/', '~1')

function detailOf (error) {
  const { keyword, params, parentSchema, data } = error
  if (keyword === 'additionalProperties') {
    const known = Object.keys(parentSchema.properties).join(', ')
    return known === '' ? 'is unknown; none are known' : `is unknown; known are ${known}`
  }
  if (keyword === 'required') {
    return `must be ${allowed(parentSchema.properties[params.missingProperty])}, but is missing`
  }
  if (Array.isArray(data) && parentSchema.type !== 'array') {
    return 'must be given once, found it again'
  }
  return `must be ${allowed(parentSchema)}, found ${shown(data)}`
}

function allowed (schema) {
  if (schema.enum !== undefined) return `one of ${schema.enum.map((one) => `"${one}"`).join(', ')}`
  if (schema.format === 'uuid') return 'a UUID such as 018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a'
  if (schema.format === 'date-time') return 'a time such as 2026-01-31T09:15:00Z (RFC 3339)'
  if (schema.type === 'integer') return `an integer${rangeOf(schema)}`
  if (schema.type === 'string') return `a string${lengthOf(schema)}${patternOf(schema)}`
  return schema.type === 'object' ? 'an object' : 'another value'
}

const rangeOf = ({ minimum, maximum }) =>
  minimum === undefined ? '' : ` from ${minimum} to ${maximum}`

function lengthOf ({ minLength, maxLength }) {
  if (maxLength !== undefined) return ` of ${minLength ?? 0} to ${maxLength} characters`
  return minLength === undefined ? '' : ` of at least ${minLength} characters`
}

/** What has a length may be any text; that it holds no NUL goes without saying. */
const patternOf = ({ pattern, maxLength }) =>
  pattern === undefined || maxLength !== undefined ? '' : ` that matches ${pattern}`

function shown (value) {
  if (Array.isArray(value)) return `an array of ${value.length} items`
  if (value !== null && typeof value === 'object') return 'an object'
  if (typeof value !== 'string') return String(value)
  // What came from outside appears cut and without control characters.
  const cut = value.replace(/\p{Cc}/gu, '?').slice(0, SHOWN_MAX)
  return `"${cut}${value.length > SHOWN_MAX ? '…' : ''}"`
}
