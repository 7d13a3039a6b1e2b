// What the service recorded: listed, narrowed down, shown.

import { listQuery, selectActivity } from '../activities/queries.js'
import { routeOf } from '../contract/contract.js'
import { Problem } from '../problems.js'
import { answerPage } from './paging.js'

export default async function activities (app, { database }) {
  app.route({
    ...routeOf('get_activities'),
    handler (request, reply) {
      const { item_id: itemId, type, correlation_id: correlationId } = request.query
      return answerPage(request, reply, (position, n) =>
        database.read(listQuery(request.query), [itemId, type, correlationId, position, n]))
    }
  })

  app.route({
    ...routeOf('get_activities_by_event_id'),
    async handler (request) {
      const [activity] = await database.read(selectActivity, [request.params.event_id])
      if (activity === undefined) {
        throw new Problem('not-found', 'What the path names does not exist.')
      }
      return activity
    }
  })
}
