import { foreignMethods } from './own-methods.js'

/** The names that express-session's functions access, from 1.17.0 on. See {@link foreignMethods}. */
const MIDDLEWARE =
  'apply call code cookie createSession data defineProperty destroy end expires from generate get getHeader id indexOf isBuffer length ' +
  'original path pathname reload save secret secure session sessionID sessionStore slice touch write'
const KNOWN = {
  middleware: [MIDDLEWARE, `_header _implicitHeader ${MIDDLEWARE}`],
  createSession: ['cookie expires originalMaxAge session'],
}

/** Is it the very middleware that express-session returned, and not one around it? */
export function isExpressSession(middleware: object): boolean {
  return foreignMethods({ middleware }, { middleware: KNOWN.middleware }).length === 0
}

/** Does the store make sessions as express-session's `Store` does? */
export function makesPlainSessions(store: object): boolean {
  return foreignMethods(store, { createSession: KNOWN.createSession }).length === 0
}
