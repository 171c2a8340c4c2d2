import type { Browser } from './app.js'

/** The id of a browser's session, as its cookie names it. */
export function sidOf({ cookie }: Browser): string {
  const signed = decodeURIComponent(String(cookie).split('=')[1] ?? '')
  return signed.slice(2).split('.')[0] ?? ''
}
