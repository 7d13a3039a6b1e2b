// Problems (RFC 9457): every error that a client sees, and the table of their types.
//
// Titles never vary from one occurrence to the next; what varies is in the detail.

const type = (status, title, meaning) => ({ status, title, meaning })

export const TYPES = {
  'bad-request': type(400, 'The request is malformed.',
    "The request can't be read: its JSON, its path or its header is not what the syntax asks for." +
    ' The detail says where.'),
  'idempotency-key-missing': type(400, 'An Idempotency-Key is required.',
    'The operation changes something, and a key makes it safe to send again. Send a header' +
    ' Idempotency-Key with a value of your own, such as a UUID, and the same one on each retry.'),
  'idempotency-key-invalid': type(400, 'The Idempotency-Key is not valid.',
    'A key has 1 to 255 visible ASCII characters, with or without quotes around them.'),
  'not-found': type(404, 'There is no such resource.',
    "Nothing is at this path, or the thing that it names doesn't exist."),
  'method-not-allowed': type(405, 'The method is not allowed here.',
    'The header Allow lists the methods of this path.'),
  'not-acceptable': type(406, 'No acceptable representation.',
    'The header Accept excludes what the operation answers with.'),
  'request-timeout': type(408, 'The request took too long to arrive.',
    'The whole request has to arrive within the time that the service allows.'),
  'idempotency-key-in-use': type(409, 'The request is still being worked on.',
    'A request with this Idempotency-Key has not been answered yet. Try again after the time in' +
    ' Retry-After: the answer will then be that of the first.'),
  conflict: type(409, 'The request conflicts with what is there.',
    'What is stored does not allow the change, such as a name that must be unique.'),
  'precondition-failed': type(412, 'The resource has changed.',
    'The header If-Match or If-None-Match names another version than the current one. Read it' +
    ' again, and decide anew.'),
  'content-too-large': type(413, 'The body is too large.',
    'The detail says how large a body may be.'),
  'uri-too-long': type(414, 'The request target is too long.',
    'Path and query together are longer than the service reads.'),
  'unsupported-media-type': type(415, 'The body is not of a supported type.',
    'A body has to come as application/json in UTF-8, a merge patch also as' +
    ' application/merge-patch+json.'),
  'idempotency-key-reused': type(422, 'The Idempotency-Key was used for another request.',
    'The key belongs to a request with another body or query. Use a new key for a new request.'),
  'validation-failed': type(422, 'The request has values that are not valid.',
    'The member errors lists all of them, each with its place: a JSON Pointer into the body, or' +
    ' the name of a parameter.'),
  'header-fields-too-large': type(431, 'The header is too large.',
    'The fields of the header together are longer than the service reads.'),
  'internal-error': type(500, 'The service failed.',
    "It is not the request's fault. The service's log tells more under the request_id."),
  'service-unavailable': type(503, "The service can't answer now.",
    'It is overloaded, stopping, or something that it needs is away. Try again after the time in' +
    ' Retry-After, with the same Idempotency-Key.'),
  'gateway-timeout': type(504, 'The answer took too long.',
    'The service gave up after the time that a request may take. Whether it took effect is not' +
    ' known: try again with the same Idempotency-Key.')
}

export const PROBLEM_TYPE = 'application/problem+json'

/** What a handler or hook throws to answer with a problem. */
export class Problem extends Error {
  constructor (slug, detail, { headers = {}, errors } = {}) {
    super(detail)
    this.slug = slug
    this.statusCode = TYPES[slug].status
    this.headers = headers
    this.errors = errors
  }

  body (instance, requestId) {
    return {
      type: `/problems/${this.slug}`,
      title: TYPES[this.slug].title,
      status: this.statusCode,
      detail: this.message,
      ...(instance === undefined ? {} : { instance }),
      request_id: requestId,
      ...(this.errors === undefined ? {} : { errors: this.errors })
    }
  }
}

export const busy = (slug, retryAfterS, detail) =>
  new Problem(slug, detail, { headers: { 'Retry-After': String(retryAfterS) } })

export const malformedPath = () =>
  new Problem('bad-request', 'The path has to begin with a slash, and each % in it with two' +
    ' hexadecimal digits to stand for a byte other than zero.')

export const methodNotAllowed = (allow) =>
  new Problem('method-not-allowed', `This path takes ${allow}.`, { headers: { Allow: allow } })

/** All that is wrong with a request's values. */
export function invalid (errors) {
  const n = errors.length
  return new Problem('validation-failed', `${n} ${n === 1 ? 'value is' : 'values are'} not valid.`,
    { errors })
}
