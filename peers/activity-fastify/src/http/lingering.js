// The end of a connection whose client still sends, in two steps (RFC 9112 9.6): the way out is shut
// first, and what still comes in is dropped. Closed at once, the socket would answer it with a
// reset, on which the client may lose the answer that it was about to read.

import { Socket } from 'node:net'

const LINGER_MS = 1000

/** Makes Node.js, when it ends the connection after the answer to this request, linger. */
export function lingerWhileItComes (request) {
  const { socket } = request
  socket.destroySoon = () => {
    delete socket.destroySoon
    if (request.complete) Socket.prototype.destroySoon.call(socket)
    else linger(socket, request)
  }
}

function linger (socket, request) {
  const patience = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(patience))
  socket.once('end', () => socket.destroy())
  socket.on('error', () => {}) // The client was faster.
  socket.end()
  request.resume()
  socket.resume()
}
