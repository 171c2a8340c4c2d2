import type { Part } from './part.js'
import { drivers } from './parts/drivers.js'
import { eventsInside } from './parts/events-inside.js'
import { eventsRead } from './parts/events-read.js'
import { eventsWrite } from './parts/events-write.js'
import { growth } from './parts/growth.js'
import { handshakes } from './parts/handshakes.js'
import { handshakesInside } from './parts/handshakes-inside.js'
import { heap } from './parts/heap.js'
import { httpOverhead } from './parts/http-overhead.js'
import { large } from './parts/large.js'
import { lost } from './parts/lost.js'
import { mirror } from './parts/mirror.js'
import { nodes } from './parts/nodes.js'
import { postgresBus } from './parts/postgres-bus.js'
import { propagation } from './parts/propagation.js'
import { size } from './parts/size.js'
import { storm } from './parts/storm.js'
import { tracking } from './parts/tracking.js'

/** What a user wants to know. */
export interface Question {
  title: string
  /** What answers it. */
  parts: Part[]
}

/** In the order of the report. `answers.ts` has the answers. */
export const questions = {
  connection: { title: 'What does a connection cost?', parts: [handshakes, handshakesInside] },
  event: { title: 'What does an event cost?', parts: [eventsRead, eventsInside, eventsWrite, large] },
  lost: { title: 'What is lost when sockets write at once?', parts: [lost] },
  http: { title: 'What does it cost my HTTP requests?', parts: [httpOverhead] },
  page: { title: 'What does the session in the page cost?', parts: [mirror] },
  memory: { title: 'How much memory does a socket take?', parts: [heap] },
  restart: { title: 'What happens after a restart?', parts: [storm] },
  stores: { title: 'What does a commit cost on each store?', parts: [drivers] },
  nodes: { title: 'How fast does a change reach another node?', parts: [propagation, nodes, postgresBus] },
  size: { title: 'How large is it?', parts: [size] },
} satisfies Record<string, Question>

export type QuestionName = keyof typeof questions

/** What matters to contributors only. */
export const insideParts: Part[] = [tracking, growth]

/** In the order in which they run. */
export const parts: Part[] = [...Object.values(questions).flatMap(({ parts }) => parts), ...insideParts]
