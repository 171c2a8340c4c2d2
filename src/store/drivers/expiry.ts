import { type CookieJson, expiryOf } from '../document.js'

/**
 * A cookie under which the session lives no shorter than it would have. The end that is stored with it says too little: many stores
 * do not store it on touch, and none of them tells how long the session has left.
 * @param left ms that it may have left by touches that are not stored
 */
export function withLaterExpiry(mine: CookieJson, theirs: CookieJson, left = theirs.originalMaxAge ?? 0): CookieJson {
  const end = Math.max(endOf(mine), endOf(theirs), Date.now() + left)
  // As it is said: express-session tells `false`, which the application sets, from `null`.
  const { expires } = mine.expires ? theirs : mine
  return { ...mine, expires: Number.isFinite(end) ? new Date(end).toISOString() : (expires ?? null) }
}

function endOf(image: CookieJson): number {
  return expiryOf(image) ?? Number.POSITIVE_INFINITY
}
