import createDebug from 'debug'

/** Shown with `DEBUG=sharedsession`. Session ids and secrets are never passed to it. */
export const debug = createDebug('sharedsession')

/** docs/api.md says what each one means. */
type WarningCode =
  | 'SHAREDSESSION_NOT_SAVED'
  | 'SHAREDSESSION_OTHER_STORE'
  | 'SHAREDSESSION_NOT_JSON'
  | 'SHAREDSESSION_NOT_A_SESSION'

const warned = new Set<string>()

/**
 * Warns once per process and topic.
 * @param topic what makes two warnings the same one
 * @param message what happened and what to do
 * @param code by which it can be filtered, as with `node --disable-warning=CODE`
 */
export function warnOnce(topic: string, message: string, code?: WarningCode): void {
  if (warned.has(topic)) return
  warned.add(topic)
  process.emitWarning(message, { type: 'SharedSessionWarning', ...(code && { code }) })
}

const warnedOf = new WeakSet<object>()

/** Warns once per process and object. @param message what happened and what to do */
export function warnOnceOf(object: object, message: string): void {
  if (warnedOf.has(object)) return
  warnedOf.add(object)
  process.emitWarning(message, { type: 'SharedSessionWarning' })
}
