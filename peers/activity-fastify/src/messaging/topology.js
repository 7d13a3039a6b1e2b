// The exchanges and queues that events travel through.
//
// Declaring is idempotent as long as everybody declares the same: the arguments are part of the
// contract between services, whatever language they are written in. Both sides declare, and again
// after each reconnect, so that nothing that was published before a consumer's first start is lost.

export const EVENTS = 'events'
export const DEAD = 'events.dead'
export const REASON_HEADER = 'x-death-reason'
export const FIRST_KEY_HEADER = 'x-first-routing-key'

const DELIVERY_LIMIT = 20
// A dead letter waits for its consumer however often that dies: the broker's default would drop it,
// and only RabbitMQ 4 knows a way to say "never".
const DEAD_DELIVERY_LIMIT = 1000000000

export const queueOf = (service) => `${service}.events`
export const deadQueueOf = (service) => `${service}.events.dead`

/** "activity=item.*,audit=#" as [{ service, patterns }]. */
export function consumersOf (text) {
  const byService = new Map()
  for (const element of text.split(',').filter(Boolean)) {
    const [service, pattern] = element.trim().split('=')
    byService.set(service, [...byService.get(service) ?? [], pattern])
  }
  return [...byService].map(([service, patterns]) => ({ service, patterns }))
}

export async function declare (channel, consumers) {
  await channel.assertExchange(EVENTS, 'topic', { durable: true })
  await channel.assertExchange(DEAD, 'topic', { durable: true })
  for (const { service, patterns } of consumers) {
    await declareDead(channel, service) // Before the queue whose dead letters it takes.
    await declareEvents(channel, service, patterns)
  }
}

async function declareDead (channel, service) {
  await channel.assertQueue(deadQueueOf(service), {
    durable: true,
    arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': DEAD_DELIVERY_LIMIT }
  })
  await channel.bindQueue(deadQueueOf(service), DEAD, `${service}.#`)
}

/** At-least-once dead-lettering keeps a message until the dead letters' queue has it; the broker
 * offers that only to queues that refuse publishes when they are full. */
async function declareEvents (channel, service, patterns) {
  await channel.assertQueue(queueOf(service), {
    durable: true,
    arguments: {
      'x-queue-type': 'quorum',
      'x-dead-letter-exchange': DEAD,
      'x-dead-letter-routing-key': service,
      'x-dead-letter-strategy': 'at-least-once',
      'x-overflow': 'reject-publish',
      'x-delivery-limit': DELIVERY_LIMIT
    }
  })
  for (const pattern of patterns) await channel.bindQueue(queueOf(service), EVENTS, pattern)
}
