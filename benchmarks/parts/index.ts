import type { Part } from '../part.js'
import { eventsRead } from './events-read.js'
import { eventsWrite } from './events-write.js'
import { growth } from './growth.js'
import { handshakes } from './handshakes.js'
import { heap } from './heap.js'
import { httpOverhead } from './http-overhead.js'
import { large } from './large.js'
import { nodes } from './nodes.js'
import { postgresBus } from './postgres-bus.js'
import { propagation } from './propagation.js'
import { size } from './size.js'
import { tracking } from './tracking.js'

/** In the order of the report. */
export const parts: Part[] = [
  eventsRead,
  eventsWrite,
  large,
  propagation,
  nodes,
  postgresBus,
  handshakes,
  heap,
  httpOverhead,
  tracking,
  growth,
  size,
]
