// Which path is which, for those that no route has met: another method, or no HTTP at all.

import { Problem, methodNotAllowed } from '../problems.js'

const PREFLIGHT = '*'
const ORDER = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

export class Paths {
  #entries = new Map()

  /** For the hook onRoute. */
  add ({ url, method, config }) {
    if (url === PREFLIGHT) return
    const entry = this.#entries.get(url) ??
      { url, isPage: config?.page === true, methods: new Set(), matches: matcherOf(url) }
    for (const one of [method].flat()) entry.methods.add(one)
    // Of a path with and without a slash at its end, Fastify tells of one GET and both HEADs.
    if (entry.methods.has('HEAD')) entry.methods.add('GET')
    this.#entries.set(url, entry)
  }

  /** Those that some path takes. */
  get methods () {
    return new Set([...this.#entries.values()].flatMap(({ methods }) => [...methods]))
  }

  /** The entry of a path as it came; undefined when it leads nowhere. Fixed ones go first. */
  find (path) {
    const decoded = decode(path)
    const found = [...this.#entries.values()].filter(({ matches }) => matches.test(decoded))
    return found.find(({ url }) => !url.includes(':')) ?? found[0]
  }
}

/** What a request is told that no route has met. */
export function leadsNowhere (entry) {
  return entry === undefined
    ? new Problem('not-found', 'Nothing is at this path.')
    : methodNotAllowed(allowOf(entry))
}

export const allowOf = ({ methods }) =>
  [...ORDER.filter((method) => methods.has(method)), 'OPTIONS'].join(', ')

function matcherOf (url) {
  const segments = url.split('/').map((segment) => {
    if (segment === '*') return '.*'
    return segment.startsWith(':') ? '[^/]+' : segment.replace(/[.+]/g, '\\$&')
  })
  return new RegExp(`^${segments.join('/')}$`)
}

function decode (path) {
  try {
    return path.split('/').map(decodeURIComponent).join('/')
  } catch {
    return path
  }
}

/** The path of a target, without its query; the absolute form (RFC 9112 3.2.2) loses its host. */
export function pathOf (target) {
  return withoutHost(target).split('?', 1)[0]
}

export function withoutHost (target) {
  return /^https?:\/\//.test(target) ? target.replace(/^https?:\/\/[^/?]*/, '') || '/' : target
}

export function queryOf (target) {
  const at = target.indexOf('?')
  return at < 0 ? '' : target.slice(at + 1)
}
