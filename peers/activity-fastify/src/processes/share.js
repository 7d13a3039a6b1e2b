// What one worker may take on of what the whole service may.

const DIVIDED = ['CONNECTIONS_MAX', 'REQUESTS_MAX', 'STREAMS_MAX']

/** Rounded up, so that a limit that is not zero lets everybody do something. */
export function shareOf (config) {
  const shares = DIVIDED.map((name) => [name, Math.ceil(config[name] / config.WORKERS)])
  return Object.freeze({ ...config, ...Object.fromEntries(shares) })
}
