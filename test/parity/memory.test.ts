import { describe } from 'vitest'
import { memory } from './memory.js'
import { describeSessions } from './sessions.js'

describe('MemoryStore', () => describeSessions(memory))
