// Strict JSON: UTF-8, no name twice in an object, not nested too deep.
//
// JSON.parse lets the last of two equal names win, so that two readers of one text could understand
// two different things.

const DEPTH_MAX = 32
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]/g

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Throws an Error that says what is wrong with the bytes. */
export function parseStrictly (bytes) {
  const text = decode(bytes)
  const value = JSON.parse(text)
  refuseDoubles(text)
  return value
}

function decode (bytes) {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new Error('it is not UTF-8')
  }
}

/** The text is known to be JSON: a string before a colon is a name of the innermost object. */
function refuseDoubles (text) {
  const names = []
  let last = ''
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') names.push(new Set())
    if (token === '}' || token === ']') names.pop()
    if (names.length > DEPTH_MAX) throw new Error(`it is nested deeper than ${DEPTH_MAX}`)
    if (token === ':') refuseDouble(names.at(-1), JSON.parse(last))
    last = token
  }
}

function refuseDouble (names, name) {
  if (names.has(name)) throw new Error(`the name "${name.slice(0, 64)}" is given twice`)
  names.add(name)
}
