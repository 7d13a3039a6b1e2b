// Connections beyond those that may be open: answered before anything is read of them, and ended.

const FAREWELLS_MAX = 256
const FAREWELL_MS = 1000

/** `answer()` gives the text for a connection too many. */
export function limitConnections (server, max, answer) {
  const [serve] = server.listeners('connection') // Node.js' own, which makes it HTTP.
  server.off('connection', serve)
  let open = 0
  let farewells = 0

  server.on('connection', (socket) => {
    if (open >= max) {
      farewell(socket)
      return
    }
    open += 1
    socket.once('close', () => { open -= 1 })
    serve.call(server, socket)
  })

  /** What the client has sent is read and dropped: left unread, it would make a reset of the end,
   * and that would take the answer with it. */
  function farewell (socket) {
    socket.on('error', () => {}) // The client was faster.
    socket.end(answer())
    if (farewells >= FAREWELLS_MAX) {
      socket.destroySoon()
      return
    }
    farewells += 1
    const patience = setTimeout(() => socket.destroy(), FAREWELL_MS)
    socket.once('close', () => {
      farewells -= 1
      clearTimeout(patience)
    })
    socket.resume()
  }
}
