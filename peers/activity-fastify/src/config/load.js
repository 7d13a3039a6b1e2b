// How an environment is read by the table of variables: all faults at once, secrets masked.

import fs from 'node:fs'
import { VARIABLES, allowedOf } from './variables.js'

const FILE_BYTES_MAX = 65536
const FOUND_MAX = 200

/** Gives { config, faults }; a fault is { name, detail }. `purpose` is 'to run' or 'to migrate'. */
export function loadConfig (environment, purpose = 'to run') {
  const faults = []
  const config = {}
  for (const [name, variable] of Object.entries(VARIABLES)) {
    const found = findValue(environment, name, faults)
    if (found === undefined && isNeeded(variable, purpose)) {
      faults.push({ name, detail: `not set; allowed: ${allowedOf(variable)}` })
    }
    config[name] = valueOf(name, variable, found, faults)
  }
  return { config: Object.freeze(config), faults }
}

const isNeeded = (variable, purpose) => variable.needed === true || variable.needed === purpose

function valueOf (name, variable, found, faults) {
  const value = found == null ? undefined : parse(variable, found)
  if (value !== undefined) return value
  if (found != null) {
    const detail = `found ${shown(variable, found)}; allowed: ${allowedOf(variable)}`
    faults.push({ name, detail })
  }
  return parse({ ...variable, fits: undefined }, variable.fallback)
}

/** Undefined when the text is not allowed. */
function parse (variable, text) {
  switch (variable.kind) {
    case 'integer': return inRange(variable, isWhole(text) ? Number(text) : NaN)
    case 'real': return inRange(variable, isNumber(text) ? Number(text) : NaN)
    case 'boolean': return { true: true, 1: true, false: false, 0: false }[text]
    case 'choice': return variable.choices.includes(text) ? text : undefined
    default: return fitsText(variable, text) ? text : undefined
  }
}

const isWhole = (text) => /^-?(?:0|[1-9][0-9]*)$/.test(text)
const isNumber = (text) => /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/.test(text)

function inRange ({ min, max }, number) {
  return number >= min && number <= max ? number : undefined
}

function fitsText (variable, text) {
  return !/[\0\ufffd]/.test(text) && (variable.fits === undefined || variable.fits(text))
}

// ---- Where a value comes from ----------------------------------------------

/** Undefined: not set. Null: a fault that was told. What is set to nothing counts as not set. */
function findValue (environment, name, faults) {
  const value = environment[name] || undefined
  const path = environment[`${name}_FILE`] || undefined
  if (value !== undefined && path !== undefined) {
    faults.push({ name, detail: `found both ${name} and ${name}_FILE; allowed: one of them` })
    return null
  }
  return path === undefined ? value : readSecret(`${name}_FILE`, path, faults)
}

/** The whole file but for one line end, which editors and echo leave there. */
function readSecret (name, path, faults) {
  try {
    const text = readRegularFile(path).replace(/\r?\n$/, '')
    if (text !== '') return text
    faults.push({ name, detail: 'the file is empty; allowed: a file that holds the value' })
  } catch (error) {
    const found = quoted(path)
    const why = error.code === undefined ? error.message : systemWords(error)
    faults.push({ name, detail: `found ${found}: ${why}; allowed: a file that can be read` })
  }
  return null
}

function readRegularFile (path) {
  // Without waiting: a FIFO that nobody writes to would hold up the start.
  const file = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
  try {
    const stat = fs.fstatSync(file)
    if (!stat.isFile()) throw new Error('it is not a regular file')
    const bytes = fs.readFileSync(file)
    if (bytes.length > FILE_BYTES_MAX) throw new Error(`it is longer than ${FILE_BYTES_MAX} bytes`)
    return bytes.toString('utf8')
  } finally {
    fs.closeSync(file)
  }
}

/** "ENOENT: no such file or directory, open 'x'" without its code and the name. */
function systemWords (error) {
  const words = error.message.replace(/^[A-Z0-9]+: /, '').replace(/, \w+( '.*')?$/, '')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

// ---- What a fault shows -----------------------------------------------------

function quoted (text) {
  const cut = text.length > FOUND_MAX ? `${text.slice(0, FOUND_MAX)}...` : text
  return `"${cut.replace(/[\x00-\x1f\x7f]/g, '?')}"`
}

/** Of a URL that isn't one, nobody can say where the password stands. */
function shown (variable, text) {
  if (variable.secret === undefined) return quoted(text)
  if (variable.secret === 'text') return '"***"'
  const scheme = /^[a-z]{1,16}:\/\//.exec(text)?.[0] ?? ''
  const isPlain = scheme !== '' && !/[@:? ]/.test(text.slice(scheme.length))
  return isPlain ? quoted(text) : `"${scheme}***"`
}
