import { afterEach, describe, expect, it } from 'vitest'
import { next, until } from '../support/wait.js'
import { client, listen, scene, tidy } from './scene.js'
import { run } from './snippets.js'

afterEach(tidy)

describe('troubleshooting', () => {
  it('an empty session: explain() says why', async () => {
    const around = scene()
    const lines: string[] = []
    await run('explain', { ...around, console: { log: (line: string) => lines.push(line) } })
    const url = await listen(around, around.shared)
    await next(client(url), 'connect')
    await next(client(url, 'connect.sid=s%3Aforged.signature'), 'connect')
    expect(lines[0]).toMatch('The handshake carried no cookie')
    expect(lines[1]).toMatch('signature does not match')
  })

  it('the doctor: its text says what the application has', async () => {
    const around = scene()
    const lines: string[] = []
    around.shared.attach(around.io)
    await run('doctor', { ...around, console: { log: (line: string) => lines.push(line) } })
    await listen(around, around.shared)
    await until(() => lines.length > 0)
    expect(lines[0]).toMatch(/^store: MemoryStore, driver memory.*\nbus: none.*\ncookie: connect\.sid.*\nSocket\.IO: .*attach/)
    expect(lines[0]).toContain('info MEMORY_STORE')
  })
})
