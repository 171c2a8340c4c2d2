import { isObject, type JsonObject } from '../document/json.js'
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

const EXPIRES = '"expires":'

/** When a stored session ends by its cookie, in ms since the epoch. Mostly the text shows it, and nothing is parsed. */
export function expiryInText(text: string): number | undefined {
  const end = plainCookieEnd(text)
  if (end !== undefined) return expiryInPlainCookie(text, end)
  const { cookie } = splitStoredText(text) ?? (Object(JSON.parse(text)) as { cookie?: unknown })
  return isObject(cookie) ? expiryOf(cookie) : undefined
}

/**
 * The same for a text of {@link plainCookieEnd}. Nothing in it is escaped, so the name stands in no value.
 * @param end that the function has returned
 */
function expiryInPlainCookie(text: string, end: number): number | undefined {
  const at = text.indexOf(EXPIRES, START.length) + EXPIRES.length
  if (at < EXPIRES.length || at > end || text.charCodeAt(at) !== QUOTE) return undefined
  const time = Date.parse(text.slice(at + 1, text.indexOf('"', at + 1)))
  return Number.isNaN(time) ? undefined : time
}

/**
 * Where the cookie ends in the text of a stored session, if it has neither an object in it, such as the history of commits, nor an escape.
 * @returns `undefined` for any other text
 */
export function plainCookieEnd(text: string): number | undefined {
  if (!text.startsWith(START)) return undefined
  let inString = false
  for (let at = START.length; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) inString = !inString
    else if (code === BACKSLASH || code === OPEN) return undefined
    else if (code === CLOSE && !inString) return endsCookie(text, at + 1) ? at + 1 : undefined
  }
  return undefined
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
  if (!text.startsWith(START)) return undefined
  const end = endOfObject(text, START.length - 1)
  return end !== undefined && endsCookie(text, end) ? end : undefined
}

/** Is there the comma before the data, or the last brace, and is the text not broken off? */
function endsCookie(text: string, end: number): boolean {
  return text.endsWith('}') && (end === text.length - 1 || text.charCodeAt(end) === COMMA)
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
