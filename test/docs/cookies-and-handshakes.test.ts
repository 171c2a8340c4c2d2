import { describe, expect, it } from 'vitest'
import { run } from './snippets.js'

describe('cookies and handshakes', () => {
  it('a page that reconnects soon gives Socket.IO both delays', async () => {
    const calls: object[] = []
    await run('reconnect-soon', { io: (options: object) => calls.push(options) })
    expect(calls).toEqual([{ reconnectionDelay: 50, randomizationFactor: 0 }])
  })
})
