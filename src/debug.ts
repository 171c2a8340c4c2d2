import type { Debugger } from 'debug'
import { loadDebug } from './util/lazy-modules.js'

let logger: Debugger | undefined

/** Logs with `DEBUG=sharedsession`. Never pass a session id or a secret. */
export function debug(format: string, ...values: unknown[]): void {
  logger ??= loadDebug()('sharedsession')
  logger(format, ...values)
}

/** How an error of the store or of the application is named in a log: its message may name the session, as a file of a store does. */
export function errorLabel(cause: unknown): unknown {
  const { code, name } = Object(cause) as { code?: unknown; name?: unknown }
  return code ?? name
}

/** The table "Warnings" in docs/api.md says what each one means: add a new one there too. */
type WarningCode =
  | 'SHAREDSESSION_NOT_SAVED'
  | 'SHAREDSESSION_OTHER_STORE'
  | 'SHAREDSESSION_NOT_JSON'
  | 'SHAREDSESSION_NOT_A_SESSION'

const TOPICS = Symbol.for('sharedsession.warnedTopics')
const holder = globalThis as { [TOPICS]?: Set<string> }
holder[TOPICS] ??= new Set()

/** The topics so far. A process may have loaded the package twice, as an ES module and as CommonJS. Exported for tests, which clear it. */
export const warnedTopics = holder[TOPICS]

/**
 * Warns once per process and topic.
 * @param topic identifies the warning
 * @param message what happened and what to do
 * @param code for filters such as `node --disable-warning=CODE`
 */
export function warnOnce(topic: string, message: string, code?: WarningCode): void {
  if (warnedTopics.has(topic)) return
  warnedTopics.add(topic)
  process.emitWarning(message, { type: 'SharedSessionWarning', ...(code && { code }) })
}

const warnedObjects = new WeakSet<object>()

/** Warns once per process and object. @param message what happened and what to do */
export function warnOnceOf(object: object, message: string): void {
  if (warnedObjects.has(object)) return
  warnedObjects.add(object)
  process.emitWarning(message, { type: 'SharedSessionWarning' })
}
