// Leaves of the data on languages within a Node.js program what concerns English, as a build of
// Node.js with "small-icu" does: `node image/english.js PROGRAM` replaces the file. A third of the
// program is such data, and this service speaks to machines.
//
// Within the program lies a package of ICU's as its file icudt*.dat is (ICU User Guide, "ICU Data";
// `CmnD` in common/ucmndata.h): a header, a count, a table of offsets of name and data counted from
// that count and sorted by name, then names and data. Nothing moves: lines leave the table, and
// what they led to becomes zeros, which any compression is good at. To ICU an item that is not in
// the table was never there.

import fs from 'node:fs'
import process from 'node:process'

const FORMAT = Buffer.from('CmnD')
const FORMAT_AT = 12
const MAGIC = 0x27da
const LINE_BYTES = 8

// Names begin with the package's own: icudt78l/coll/de.res.
const LEFT_OUT = [
  /\/(?!en[._]|res_index)[a-z]{2,3}(_\w*)?\.res$/, // other languages
  /\/translit\//, // what no API of JavaScript asks for: from here ...
  /\.(spp|cfu)$/,
  /\/unames\.icu$/, // ... to here
  /\.cnv$/, // encodings older than Unicode, of TextDecoder
  /dict\.dict$/ // words of languages that put no spaces between them
]

/** Where the package's header begins. */
function findPackage (program) {
  for (let at = 0; ; at += 1) {
    at = program.indexOf(FORMAT, at)
    if (at < 0) throw new Error('no data of ICU in it')
    const start = at - FORMAT_AT
    if (start >= 0 && program.readUInt16LE(start + 2) === MAGIC) return start
  }
}

/** The lines of its table: names are sorted, and data follow one another in the same order. */
function readTable (program, table) {
  return Array.from({ length: program.readUInt32LE(table) }, (_, i) => {
    const line = table + 4 + i * LINE_BYTES
    const name = table + program.readUInt32LE(line)
    return {
      bytes: Buffer.from(program.subarray(line, line + LINE_BYTES)),
      name: program.toString('latin1', name, program.indexOf(0, name)),
      begin: table + program.readUInt32LE(line + 4)
    }
  })
}

/** Changes `program`; tells how many items were there, and how many are left. */
export function leaveEnglish (program) {
  const start = findPackage(program)
  const table = start + program.readUInt16LE(start)
  const items = readTable(program, table)
  const isKept = ({ name }) => !LEFT_OUT.some((pattern) => pattern.test(name))
  for (const [i, item] of items.entries()) {
    const end = items[i + 1]?.begin ?? item.begin // Of the last one no end is told: it stays.
    if (end < item.begin) throw new Error(`${item.name}: the next item lies before it`)
    if (!isKept(item)) program.fill(0, item.begin, end)
  }
  const kept = items.filter(isKept)
  program.fill(0, table, table + 4 + items.length * LINE_BYTES)
  program.writeUInt32LE(kept.length, table)
  for (const [i, { bytes }] of kept.entries()) bytes.copy(program, table + 4 + i * LINE_BYTES)
  return { items: items.length, kept: kept.length }
}

if (import.meta.main) {
  const [file] = process.argv.slice(2)
  const program = fs.readFileSync(file)
  const { items, kept } = leaveEnglish(program)
  // Put in its place as a whole, for it may be the program that runs.
  fs.writeFileSync(`${file}.new`, program, { mode: fs.statSync(file).mode })
  fs.renameSync(`${file}.new`, file)
  process.stdout.write(`${file}: ${kept} of ${items} items of ICU's data are left\n`)
}
