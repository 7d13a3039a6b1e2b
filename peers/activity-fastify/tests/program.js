// The program, run to its end as a shell runs it.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const MAIN = fileURLToPath(new URL('../src/main.js', import.meta.url))
// SIGUSR1 is for the log's level, not for the debugger.
export const NODE_OPTIONS = ['--disable-sigusr1']

/** { status, stdout, stderr }; nothing of our own environment reaches it. */
export function runToEnd (argument, env = {}) {
  const args = [...NODE_OPTIONS, MAIN, ...(argument === '' ? [] : [argument])]
  return spawnSync(process.execPath, args, { env, encoding: 'utf8', timeout: 20000 })
}
