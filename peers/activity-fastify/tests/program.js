// The program, run to its end as a shell runs it.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const MAIN = fileURLToPath(new URL('../src/main.js', import.meta.url))

/** { status, stdout, stderr }; nothing of our own environment reaches it. */
export function runToEnd (argument, env = {}) {
  const args = [MAIN, ...(argument === '' ? [] : [argument])]
  return spawnSync(process.execPath, args, { env, encoding: 'utf8', timeout: 20000 })
}
