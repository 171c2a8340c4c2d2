import { describe, expect } from 'vitest'
import { promises } from './harness.js'
import { memory } from './memory.js'
import { describeSessions } from './sessions.js'

describe('MemoryStore', () => {
  describeSessions(memory)

  const defaults = {
    session: { resave: undefined as never, saveUninitialized: undefined as never },
    warnings: ['undefined resave option', 'undefined saveUninitialized option'],
  }
  promises('by default, resave and saveUninitialized are true', memory, defaults, async (site) => {
    const visitor = site.visitor()
    expect((await visitor.ask('/show')).cookie).toBeDefined()
    expect(await site.held(visitor.sid)).toBeDefined()
  })
})
