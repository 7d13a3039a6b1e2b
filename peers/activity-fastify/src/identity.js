// Who the service is.

export const SERVICE = Object.freeze({
  name: 'activity',
  version: '1.0.0',
  summary: 'What happened in the catalogue.'
})
