// The name of a request: the client's, if it has given one that can stand anywhere; else ours.

import { v7 as uuidv7 } from 'uuid'

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/

export function requestIdOf ({ headers }) {
  const given = headers['x-request-id']
  return given !== undefined && REQUEST_ID.test(given) ? given : uuidv7()
}
