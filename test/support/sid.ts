import type { Browser } from './app.js'

/** The session id in a browser's cookie. */
export function sidOf(browser: Pick<Browser, 'cookie'>): string {
  const pairs = String(browser.cookie).split('; ')
  const pair = pairs.find((each) => each.startsWith('connect.sid=')) ?? pairs[0]
  const value = decodeURIComponent(String(pair).split('=').slice(1).join('=').split('~').at(-1) as string)
  return value.slice(2).split('.')[0] ?? ''
}
