import type { JsonObject } from '../document/json.js'
import { type CookieJson, expiryOf } from './cookie-json.js'

/** How express-session's own JSON begins: a session has its cookie first. */
const START = '{"cookie":{'

/** The cookie of a stored session, and where its data begins. */
export interface SplitText {
  cookie: CookieJson
  /** The position after the cookie: that of a comma, or of the last brace where there is no data. */
  end: number
}

/**
 * Parses the cookie of a stored session, and leaves its data as text: most reads need the cookie only.
 * @param text the session as JSON
 * @returns `undefined` where the text does not begin with a cookie, or is broken off
 */
export function splitStoredText(text: string): SplitText | undefined {
  const end = endOfCookie(text)
  return end === undefined ? undefined : { cookie: JSON.parse(text.slice(START.length - 1, end)), end }
}

/** How express-session's own JSON begins, with the session's end. */
const UP_TO_EXPIRES = /^\{"cookie":\{"originalMaxAge":(?:[\d.]+|null),"expires":(?:null|"([^"\\]+)")/

/** When a stored session ends by its cookie, in ms since the epoch. Mostly the text shows it, and nothing is parsed. */
export function expiryInText(text: string): number | undefined {
  const found = UP_TO_EXPIRES.exec(text)
  if (found) return found[1] === undefined ? undefined : new Date(found[1]).getTime()
  const { cookie } = splitStoredText(text) ?? (Object(JSON.parse(text)) as { cookie?: CookieJson })
  return cookie && expiryOf(cookie)
}

/** The JSON of a stored session's data; `undefined` where the text does not begin with a cookie, or is broken off. */
export function dataTextOf(text: string): string | undefined {
  const end = endOfCookie(text)
  return end === undefined ? undefined : dataTextAfter(text, end)
}

/** The same where it is known where the cookie ends. @param end see {@link SplitText} */
export function dataTextAfter(text: string, end: number): string {
  return end === text.length - 1 ? '{}' : `{${text.slice(end + 1)}`
}

/** See {@link SplitText}. */
function endOfCookie(text: string): number | undefined {
  if (!text.startsWith(START) || !text.endsWith('}')) return undefined
  const end = endOfObject(text, START.length - 1)
  return end === undefined || (end !== text.length - 1 && text.charCodeAt(end) !== COMMA) ? undefined : end
}

/** Parses the data of a stored session. @param end see {@link SplitText} */
export function parseData(text: string, end: number): JsonObject {
  if (end === text.length - 1) return {}
  const data: JsonObject = JSON.parse(`{${text.slice(end + 1)}`)
  // Only a text that no JSON.stringify has made names the cookie twice.
  delete data.cookie
  return data
}

const QUOTE = 34
const COMMA = 44
const BACKSLASH = 92
const OPEN = 123
const CLOSE = 125

/** @returns where the object that begins at `start` has ended; `undefined` if it does not end */
function endOfObject(text: string, start: number): number | undefined {
  let depth = 0
  let inString = false
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (inString) {
      if (code === BACKSLASH) at++
      else if (code === QUOTE) inString = false
    } else if (code === QUOTE) inString = true
    else if (code === OPEN) depth++
    else if (code === CLOSE && --depth === 0) return at + 1
  }
  return undefined
}
