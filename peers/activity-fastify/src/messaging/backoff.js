// Waiting longer after each failure, and never as long as everybody else.

export function backoffMs (baseMs, maxMs, failures) {
  const ms = Math.min(baseMs * 2 ** (failures - 1), maxMs)
  return ms - Math.floor(Math.random() * (ms / 2))
}

/** Resolves after that time, or at once when the signal says so. */
export function pause (ms, signal) {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const end = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal?.addEventListener('abort', end)
  })
}
