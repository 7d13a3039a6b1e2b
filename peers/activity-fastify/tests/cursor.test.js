// Cursors: opaque to clients, the same as the service in C writes, and of one list alone.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readCursor, writeCursor } from '../src/http/cursor.js'

const LIST = '/api/v1/activities'
const INT8_MAX = '9223372036854775807'

test('a cursor gives back the position that it was made of', () => {
  for (const position of ['0', '1', '42', '9007199254740993', INT8_MAX]) {
    assert.equal(readCursor(LIST, writeCursor(LIST, position)), position)
  }
})

test('a cursor of another list is refused', () => {
  assert.equal(readCursor('/api/v1/dead-letters', writeCursor(LIST, 42)), null)
})

test('a cursor with any bit changed is refused', () => {
  const bytes = Buffer.from(writeCursor(LIST, 42), 'base64url')
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const changed = Buffer.from(bytes)
    changed[bit >> 3] ^= 1 << (bit & 7)
    assert.equal(readCursor(LIST, changed.toString('base64url')), null, `bit ${bit}`)
  }
})

test('a cursor is read in one spelling only', () => {
  const cursor = writeCursor(LIST, 42)
  for (const spelling of [`${cursor}=`, `${cursor}A`, cursor.slice(1), '', ` ${cursor}`]) {
    assert.equal(readCursor(LIST, spelling), null, spelling)
  }
})
