// The configuration, for people: the table with --help, what is in force with --check-config.

import { GROUPS, VARIABLES, allowedOf } from './variables.js'

/** A URL without its password, and without secrets in its query. */
export function maskedUrl (url) {
  const [address, query] = url.split(/\?(.*)/s)
  const masked = address.replace(/^([^:]*:\/\/)(.*)@/, (_, scheme, user) =>
    `${scheme}${user.replace(/:.*/, ':***')}@`)
  if (query === undefined) return masked
  const pairs = query.split('&').map((pair) => {
    const key = pair.split('=')[0]
    return key.includes('password') ? `${key}=***` : pair
  })
  return `${masked}?${pairs.join('&')}`
}

function shown (name, value) {
  const { secret } = VARIABLES[name]
  if (secret === 'url') return maskedUrl(value)
  return secret === 'text' && value !== '' ? '***' : String(value)
}

export function configText (config) {
  return Object.entries(config).map(([name, value]) => `${name}=${shown(name, value)}\n`).join('')
}

function defaultText (variable) {
  if (variable.needed) return 'must be set'
  return variable.shown ?? (variable.fallback === '' ? 'none' : variable.fallback)
}

function groupText ([title, variables]) {
  const lines = Object.entries(variables).map(([name, variable]) =>
    `  ${name} (${defaultText(variable)})\n      ${variable.help}\n` +
    `      Allowed: ${allowedOf(variable)}.\n`)
  return `\n${title}:\n${lines.join('')}`
}

export function helpText ({ name, version, summary }) {
  return `${name} ${version}: ${summary}

Usage: ${name} [--help | --version | --openapi | --asyncapi | --check-config | --migrate |
  --health]

Without an argument it runs until SIGTERM or SIGINT.
  --help          this text
  --version       the versions of the API and of Node.js
  --openapi       print the OpenAPI document
  --asyncapi      print the AsyncAPI document
  --check-config  print the configuration, without secrets, or what is wrong with it
  --migrate       apply the migrations and end
  --health        ask the service that runs with this configuration whether it is ready

It is configured by environment variables. Instead of any X, X_FILE may name a file that
holds the value. One that is set to nothing counts as not set; what holds then stands in
parentheses.
${Object.entries(GROUPS).map(groupText).join('')}
Exit status: 0 after a clean stop, 1 when --health found it not ready, 64 for a wrong
argument, 70 when it cannot start or one of its processes has failed, 78 when the
configuration is wrong.
`
}
