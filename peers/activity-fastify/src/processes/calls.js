// Calls between two processes, over the channel that node:cluster gives them: each side has methods
// that the other may call by name, and gets back what they give.

export class Calls {
  #channel
  #methods
  #waiting = new Map()
  #last = 0

  /** `channel` is a cluster's Worker or, in one, the process. */
  constructor (channel, methods) {
    this.#channel = channel
    this.#methods = methods
    channel.on('message', (message) => this.#take(message))
    channel.once('disconnect', () => this.#failAll())
  }

  /** Rejects when the other side fails, or is gone. */
  call (name, ...args) {
    return new Promise((resolve, reject) => {
      const id = ++this.#last
      this.#waiting.set(id, { resolve, reject })
      this.#send({ id, name, args }, (error) => {
        if (!error) return
        this.#waiting.delete(id)
        reject(error)
      })
    })
  }

  #take ({ id, name, args, result, fault }) {
    if (name !== undefined) {
      this.#answer(id, name, args)
      return
    }
    const caller = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (fault === undefined) caller?.resolve(result)
    else caller?.reject(new Error(fault))
  }

  async #answer (id, name, args) {
    try {
      this.#send({ id, result: await this.#methods[name](...args) })
    } catch (error) {
      this.#send({ id, fault: error.message })
    }
  }

  /** Whoever is gone meanwhile is noticed by its end, not by what could not be sent. */
  #send (message, done = () => {}) {
    if (this.#channel.isConnected?.() ?? this.#channel.connected) this.#channel.send(message, done)
    else done(new Error('the process has ended'))
  }

  #failAll () {
    for (const { reject } of this.#waiting.values()) reject(new Error('the process has ended'))
    this.#waiting.clear()
  }
}
