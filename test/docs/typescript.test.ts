import { afterEach, describe, expect, it } from 'vitest'
import { next } from '../support/wait.js'
import { client, cookieOf, json, listen, scene, tidy } from './scene.js'
import { run } from './snippets.js'

afterEach(tidy)

describe('TypeScript', () => {
  it('TypeScript: the typed session is the live one', async () => {
    const around = scene()
    const { greeting } = await run('greeting.ts', {}, 'greeting')
    const url = await listen(around, around.shared)
    const cookie = cookieOf(await fetch(`${url}/start`))!
    const connected = next(around.io, 'connection')
    client(url, cookie)
    expect(greeting(around.shared, await connected)).toBe('Hello stranger')
    await around.shared.flush()
    expect(await json(`${url}/session`, cookie)).toMatchObject({ visits: 1 })
  })
})
