import { newCommitId } from '../../commit-history.js'
import type { StoredSession } from '../store-driver.js'
import type { Doc, Format } from './collection.js'

/** Keeps a session as its JSON, which is compared as it is. */
export const JSON_TEXT: Format = {
  path: 'session',
  encode: async (text) => ({ session: text }),
  decode: async (session) => ({ text: asText(session) }),
  comparedText: ({ text }) => text,
}

/** Keeps a session as an encrypted text, which is compared as it is. The same session has another one each time. */
export class EncryptedText implements Format {
  readonly path = 'session'
  readonly #encrypt: (text: string) => Promise<string>
  readonly #decrypt: (encrypted: string) => Promise<string>

  constructor(encrypt: (text: string) => Promise<string>, decrypt: (encrypted: string) => Promise<string>) {
    this.#encrypt = encrypt
    this.#decrypt = decrypt
  }

  async encode(text: string): Promise<{ session: string; token: string }> {
    const session = await this.#encrypt(text)
    return { session, token: session }
  }

  async decode(session: unknown): Promise<StoredSession> {
    const token = asText(session)
    return { text: await this.#decrypt(token), token }
  }

  comparedText({ token }: StoredSession): string | undefined {
    return token
  }
}

/**
 * Keeps a session as a document. Documents are not compared by their content: MongoDB minds the order of fields, and JavaScript changes it where
 * keys are integers. Each write gives the document an etag, beside the record of commits in the cookie. express-session alone drops both when it
 * saves, so that an etag is never there with another content.
 */
export const NATIVE_DOCUMENT: Format = {
  path: 'session.cookie.sharedsession.etag',
  async encode(text) {
    const token = newCommitId()
    const session = Object(JSON.parse(text)) as Doc
    const cookie = Object(session.cookie) as Doc
    // As the stores keep it.
    const end = typeof cookie.expires === 'string' && { expires: new Date(cookie.expires) }
    const sharedsession = { ...Object(cookie.sharedsession), etag: token }
    return { session: { ...session, cookie: { ...cookie, ...end, sharedsession } }, token }
  },
  async decode(stored) {
    const { sharedsession, ...cookie } = Object(Object(stored).cookie) as Doc
    const { etag, ...history } = Object(sharedsession) as Doc
    // One that express-session alone has written.
    if (typeof etag !== 'string') return { text: JSON.stringify(stored) }
    if (Object.keys(history).length > 0) cookie.sharedsession = history
    const { cookie: _cookie, ...data } = stored as Doc
    return { text: JSON.stringify(Object.keys(cookie).length > 0 ? { cookie, ...data } : data), token: etag }
  },
  comparedText: ({ token }) => token,
}

/** @throws if the store's options were others when the session was written, as the store itself fails then */
function asText(session: unknown): string {
  if (typeof session === 'string') return session
  throw new TypeError('A stored session is no text. Was the option stringify of the store false when it was written?')
}
