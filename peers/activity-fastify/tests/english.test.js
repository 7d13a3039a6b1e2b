// The image's Node.js: without other languages, and with all else that the service may ask of it.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { after, before, test } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import { leaveEnglish } from '../image/english.js'

const SCRIPT = new URL('../image/english.js', import.meta.url).pathname
let folder
let program

before(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trunnion-english-'))
  program = path.join(folder, 'node')
  fs.copyFileSync(process.execPath, program)
  // By the very program that is changed, as in the Dockerfile.
  const { status, stdout, stderr } = spawnSync(program, [SCRIPT, program], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  assert.match(stdout, /: \d+ of \d{4,} items of ICU's data are left\n$/)
})

after(() => fs.rmSync(folder, { recursive: true }))

function evaluate (expression) {
  const { status, signal, stdout, stderr } = spawnSync(program,
    ['-p', `JSON.stringify(${expression})`], { encoding: 'utf8' })
  assert.deepEqual({ status, signal }, { status: 0, signal: null }, stderr)
  return JSON.parse(stdout)
}

const SAYS = [
  ['English dates', 'new Date(0).toLocaleString("en-GB", { timeZone: "Europe/Berlin" })',
    '01/01/1970, 01:00:00'],
  ['English sums of money',
    'new Intl.NumberFormat("en", { style: "currency", currency: "EUR" }).format(1234.5)',
    '€1,234.50'],
  ['English units', 'new Intl.NumberFormat("en", { style: "unit", unit: "byte" }).format(3)',
    '3 byte'],
  ['English names', 'new Intl.DisplayNames("en", { type: "region" }).of("DE")', 'Germany'],
  ['English words', '[...new Intl.Segmenter("en", { granularity: "word" }).segment("a b")].length',
    3],
  ['a text in a language of whose words it knows nothing',
    '[...new Intl.Segmenter("th", { granularity: "word" }).segment("สวัสดี")].length > 0', true],
  ['the order of letters', '["b", "ä", "a"].sort(new Intl.Collator("en").compare)',
    ['a', 'ä', 'b']],
  ['normal forms', '"ﬁé".normalize("NFKD").length', 4],
  ['the upper case of any language', '"i".toLocaleUpperCase("tr")', 'İ'],
  ['properties of letters', String.raw`/^\p{Script=Greek}\p{L}$/u.test("αж")`, true],
  ['names of hosts', 'new URL("http://münchen.example").host', 'xn--mnchen-3ya.example'],
  ['Unicode and Latin', `["utf-8", "utf-16le", "windows-1252"].map((name) =>
    new TextDecoder(name).decode(Uint8Array.of(0x41, 0x00)))`, ['A\0', 'A', 'A\0']],
  ['zones of time', 'Intl.supportedValuesOf("timeZone").length > 400', true],
  ['which languages it speaks', 'Intl.DateTimeFormat.supportedLocalesOf(["de", "en-GB", "fr"])',
    ['en-GB']],
  ['the same in English where it does not speak one',
    'new Intl.DateTimeFormat("de", { dateStyle: "long", timeZone: "UTC" }).format(0)',
    'January 1, 1970']
]

for (const [what, expression, answer] of SAYS)
  test(`it still knows ${what}`, () => assert.deepEqual(evaluate(expression), answer))

test('an encoding that is gone is refused by name', () => {
  assert.match(evaluate('(() => { try { new TextDecoder("shift_jis") } catch (e) { return e.message } })()'),
    /shift_jis/)
})

test('what is left out takes no room', () => {
  const [whole, english] = [process.execPath, program].map((file) =>
    zstdCompressSync(fs.readFileSync(file)).length)
  assert.ok(english < whole - 8e6, `${english} of ${whole} bytes`)
})

test('a file without such data is refused', () => {
  assert.throws(() => leaveEnglish(Buffer.from('CmnD, but not really')), /no data of ICU/)
})
