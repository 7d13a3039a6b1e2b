// What texts of the configuration must look like.
//
// A URL is checked for its shape only, so that a slip is found at the start and told without
// repeating a secret; whether it leads anywhere is found out by connecting.

// Visible ASCII, with every % followed by two digits: RFC 3986 allows no more.
const URL_TEXT = /^(?:[!$&-;=?-[\]_a-z~]|%[0-9a-fA-F]{2})*$/
const HOST = /^[A-Za-z0-9._%-]+$/
const ADDRESS = /^\[[A-Za-z0-9:.%]+\]$/
const QUERY = /^[^&=]+=[^&]*(?:&[^&=]+=[^&]*)*&?$/

/** An @ beyond the one behind the user must be written as %40: what stands around it is secret. */
function partsOf (text, schemes) {
  const scheme = schemes.find((one) => text.startsWith(one))
  if (scheme === undefined || !URL_TEXT.test(text)) return null
  const [address, query = ''] = splitOnce(text.slice(scheme.length), '?')
  const [authority, path = ''] = splitOnce(address, '/')
  const [user, rest] = splitOnce(authority, '@')
  const hosts = rest ?? user
  return hosts.includes('@') || path.includes('@') ? null : { hosts, path, query }
}

function splitOnce (text, separator) {
  const at = text.indexOf(separator)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + separator.length)]
}

function isPort (text) {
  return /^[1-9][0-9]{0,4}$/.test(text) && Number(text) <= 65535
}

function isHostAndPort (text) {
  const at = text.startsWith('[') ? text.indexOf(']') + 1 : text.search(/:|$/)
  const host = text.slice(0, at)
  const port = text.slice(at)
  const named = text.startsWith('[') ? ADDRESS.test(host) : HOST.test(host)
  return named && (port === '' || (port.startsWith(':') && isPort(port.slice(1))))
}

const isQuery = (query) => query === '' || QUERY.test(query)

/** Several hosts may be named, and none when the query or the default says where the socket is. */
export function isDatabaseUrl (text) {
  const parts = partsOf(text, ['postgresql://', 'postgres://'])
  return parts !== null && isQuery(parts.query) && !parts.path.includes('/') &&
    (parts.hosts === '' || parts.hosts.split(',').every(isHostAndPort))
}

export function isAmqpUrl (text) {
  const parts = partsOf(text, ['amqp://', 'amqps://'])
  return parts !== null && isQuery(parts.query) && isHostAndPort(parts.hosts) &&
    !parts.path.includes('/')
}

export function isHttpUrl (text) {
  const parts = partsOf(text, ['http://', 'https://'])
  return parts !== null && isHostAndPort(parts.hosts)
}

export function isHost (text) {
  return text.length <= 253 && /^[A-Za-z0-9.:_%-]+$/.test(text)
}

/** Elements with commas between them and perhaps spaces around them; one that is empty is wrong. */
const isList = (text, fits) => text.split(',').every((element) => fits(element.trim()))

function isOrigin (text) {
  const origin = /^[A-Za-z0-9+.-]+:\/\/(.*)$/.exec(text)
  return origin !== null && isHostAndPort(origin[1])
}

export const isOrigins = (text) => text === '*' || isList(text, isOrigin)

const WORD = '(?:[A-Za-z0-9_-]+|\\*|#)'
const CONSUMER = new RegExp(`^[a-z][a-z0-9-]{0,63}=(?=.{1,255}$)${WORD}(?:\\.${WORD})*$`)
export const isConsumers = (text) => isList(text, (element) => CONSUMER.test(element))

function isAttribute (text) {
  const [key, value] = splitOnce(text, '=')
  return value !== undefined && /^[A-Za-z0-9._/-]+$/.test(key) && URL_TEXT.test(value)
}

export const isAttributes = (text) => isList(text, isAttribute)
