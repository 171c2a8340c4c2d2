import createDebug from 'debug'

/** Shown with `DEBUG=sharedsession`. Session ids and secrets are never passed to it. */
export const debug = createDebug('sharedsession')

const warned = new Set<string>()

/** Warns once per process and topic. @param topic what makes two warnings the same one @param message what happened and what to do */
export function warnOnce(topic: string, message: string): void {
  if (warned.has(topic)) return
  warned.add(topic)
  process.emitWarning(message, { type: 'SharedSessionWarning' })
}

const warnedOf = new WeakSet<object>()

/** Warns once per process and object. @param message what happened and what to do */
export function warnOnceOf(object: object, message: string): void {
  if (warnedOf.has(object)) return
  warnedOf.add(object)
  process.emitWarning(message, { type: 'SharedSessionWarning' })
}
