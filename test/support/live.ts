import type { Socket } from 'socket.io'
import { onTestFinished } from 'vitest'
import type { SharedSessionError } from '../../src/index.js'
import { type App, type AppOptions, type Browser, startApp, type TestClient } from './app.js'
import { ControlledStore } from './controlled-store.js'
import { sidOf } from './sid.js'

export interface Visited {
  app: App
  store: ControlledStore
  browser: Browser
  sid: string
  /** What the store holds of the session now. */
  stored(): any
}

export interface Live extends Visited {
  client: TestClient
  socket: Socket
  /** The session in the view of `socket`. */
  session: Record<string, any>
}

/** Retries at once and three times: failures are the point of these tests, not pauses. */
export const QUICK = { attempts: 3, minDelay: 1, maxDelay: 2, timeout: 200 }

/** A visitor whose session is in a store under control, by one HTTP request. */
export async function visited(options: AppOptions = {}): Promise<Visited> {
  const store = (options.store ?? new ControlledStore()) as ControlledStore
  const app = await startApp({ ...options, store })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const sid = sidOf(browser)
  return { app, store, browser, sid, stored: () => store.stored(sidOf(browser)) }
}

/** The same with one connected socket. No save is due when it resolves. */
export async function live(options: AppOptions = {}): Promise<Live> {
  const started = await visited({ ...options, shared: { retry: QUICK, ...options.shared } })
  const { client, socket, session } = await tab(started.app, started.browser)
  return { ...started, client, socket, session, sid: socket.handshake.sessionID }
}

/** Another socket of the same visitor. */
export async function tab(app: App, browser: Browser): Promise<Pick<Live, 'client' | 'socket' | 'session'>> {
  const client = await browser.connect()
  const socket = app.sockets.at(-1) as Socket
  return { client, socket, session: app.shared.session(socket) }
}

/** All payloads of an event so far. */
export function collect<T = any>(emitter: { on(event: any, listener: (payload: any) => void): unknown }, event: string): T[] {
  const payloads: T[] = []
  const listener = (payload: T): void => void payloads.push(payload)
  emitter.on(event, listener)
  // The other emitters of a test end with it.
  if (emitter === process) onTestFinished(() => void process.off(event, listener))
  return payloads
}

/** What a promise rejects with. */
export async function failure(work: Promise<unknown> | unknown): Promise<SharedSessionError> {
  try {
    await work
  } catch (error) {
    return error as SharedSessionError
  }
  throw new Error('it did not fail')
}

/** The code of what a function throws. */
export function thrown(run: () => unknown): SharedSessionError {
  try {
    run()
  } catch (error) {
    return error as SharedSessionError
  }
  throw new Error('it did not throw')
}

/** Some turns of the event loop: for what must not happen. A save that was asked for has begun and ended by then. */
export async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}
