import { afterEach, describe, expect, it } from 'vitest'
import { until } from '../support/wait.js'
import { client, cookieOf, listen, scene, tidy } from './scene.js'
import { run } from './snippets.js'

afterEach(tidy)

describe('cookies and handshakes', () => {
  it('a page that reconnects soon gives Socket.IO both delays', async () => {
    const calls: object[] = []
    await run('reconnect-soon', { io: (options: object) => calls.push(options) })
    expect(calls).toEqual([{ reconnectionDelay: 50, randomizationFactor: 0 }])
  })

  it('a client whose session ends on arrival stays away: a guest at once, one with a session cookie after one reconnect', async () => {
    const around = scene()
    await run('arrival', around)
    let times = 0
    around.io.on('connection', () => times++)
    const url = await listen(around, around.shared)
    const away = async (cookie?: string): Promise<number> => {
      times = 0
      const socket = client(url, cookie)
      await until(() => times > 0 && !socket.active)
      return times
    }
    expect(await away()).toBe(1)
    expect(await away(cookieOf(await fetch(`${url}/start`)))).toBe(2)
  })
})
