import expressSession from 'express-session'
import { afterEach, describe, expect, it } from 'vitest'
import { whyEmpty } from '../../src/socket/explain.js'
import { originProblem } from '../../src/socket/handshake/origin-check.js'
import type { ResolvedSession } from '../../src/socket/handshake/resolved-session.js'
import * as errors from '../../src/socket/handshake-errors.js'
import { storeTimeout } from '../../src/store/store-timeout.js'
import { failure } from '../support/live.js'
import { next, until } from '../support/wait.js'
import { client, listen, scene, surroundings, tidy } from './scene.js'
import { run, section } from './snippets.js'

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

  it('each sentence of explain() is in one row, and each row is of such a sentence', async () => {
    const rows = [...section('Why is my session empty?').matchAll(/^\| ([^|]+?) \|.*\|$/gm)].map(([, words]) => words!)
    const words = rows.filter((row) => row !== 'it says')
    const sentences = [...emptySessions(), ...refusals(), (await foreignOrigin())!.message, await endedSession()]
    const rowsOf = (sentence: string) => words.filter((each) => sentence.includes(each))
    for (const sentence of sentences) expect(rowsOf(sentence), sentence).toHaveLength(1)
    expect(words.filter((each) => !sentences.some((sentence) => sentence.includes(each)))).toEqual([])
  })

  it('the doctor: the page has the text that it gives for a cookie with sameSite none', async () => {
    const around = surroundings()
    const { app, io, secret, sharedsession, store } = around
    const session = expressSession({ secret, store, resave: false, saveUninitialized: false, cookie: { sameSite: 'none' } })
    app.use(session)
    const shared = sharedsession(session, { autoSave: true })
    shared.attach(io)
    const lines: string[] = []
    await run('doctor', { ...around, shared, console: { log: (line: string) => lines.push(line) } })
    await listen(around, shared)
    await until(() => lines.length > 0)
    expect(section('The doctor')).toContain(`\n\`\`\`text\n${lines[0]}\n\`\`\`\n`)
  })
})

/** Every sentence about an empty session: of all combinations of what can be known of a handshake. */
function emptySessions(): Set<string> {
  const choices: Record<string, unknown[]> = {
    ...{ inOtherStore: [true, false], cookieRejected: [true, false], storeInUse: [true, false] },
    ...{ cookieSent: [true, false], cookieWithheld: [true, false], tombstone: [undefined, { reason: 'expired' }] },
    cookieName: [undefined, 'connect.sid'],
    cookieSid: [undefined, 'one', 'another'],
    headers: [
      {},
      { 'x-forwarded-proto': 'https' },
      { origin: 'https://a.com', host: 'b.com' },
      ...['theme=dark', 'connect.sid=s%3Aone.x', 'connect.sid=one'].map((cookie) => ({ cookie })),
    ],
  }
  let known: object[] = [{ loaded: { sid: 'one' } }]
  for (const [name, values] of Object.entries(choices)) {
    known = known.flatMap((facts) => values.map((value) => ({ ...facts, [name]: value })))
  }
  return new Set(known.map((facts) => whyEmpty(facts as ResolvedSession)))
}

/** What is said of a socket that has no session. */
function refusals(): string[] {
  const request = (more: object = {}) => ({ url: '/socket.io/', ...more }) as never
  return [
    ...[errors.closedError(), errors.renewalNeeded(), storeTimeout('a read', 1)],
    ...[errors.storeReported(1), errors.middlewareReported(1), errors.unknownSourceReported(1)],
    ...[errors.nextNotCalled('STORE_FAILED', 'cookie parser', 1), errors.nextNotCalled('STORE_TIMEOUT', 'session middleware', 1)],
    ...[errors.noStoreError({} as never), errors.noStoreError({ isCookieSession: true } as never)],
    errors.noSessionError({ cookiePath: '/shop' } as never, request()),
    errors.noSessionError({ store: {} } as never, request()),
    errors.noSessionError({} as never, request()),
    errors.noSessionError({} as never, request({ sessionCookies: {} })),
  ].map(({ message }) => message)
}

/** What a socket of an ended session is refused with. */
async function endedSession(): Promise<string> {
  const around = scene()
  const url = await listen(around, around.shared)
  const connected = next(around.io, 'connection')
  client(url)
  const session = around.shared.session(await connected)
  await session.destroy()
  return (await failure(session.save())).message
}

function foreignOrigin() {
  const headers = { origin: 'https://a.com', host: 'b.com' }
  return originProblem({ headers } as never, { opts: {} } as never, [], 1)
}
