import type { Cookie, Session } from 'express-session'
import { equal } from '../document/json.js'
import { toJson } from '../document/to-json.js'
import { SharedSessionError } from '../errors.js'
import { getOrInsert } from '../util/bounded-map.js'
import type { Member } from './member.js'
import type { SessionReplica } from './replica.js'

type Callback = ((error?: unknown) => void) | undefined

/**
 * What the root of a session answers besides the application's data: the members of express-session's own `Session`, bound to the
 * socket whose face is asked.
 */
export class SessionMethods {
  readonly #live: SessionReplica
  readonly #prototype: object
  #cookies: WeakMap<Member, Cookie> | undefined

  /** @param prototype express-session's `Session.prototype`, of the copy that the application uses */
  constructor(live: SessionReplica, prototype: object) {
    this.#live = live
    this.#prototype = prototype
  }

  /** Names that express-session does not load from a store: its own, and those of every object. */
  has(name: string): boolean {
    return name === 'cookie' || name === 'id' || name === 'req' || name in this.#prototype
  }

  get(name: string, member: Member): unknown {
    const live = this.#live
    switch (name) {
      case '__proto__':
        // As everywhere below: a name from outside must not reach a prototype.
        return undefined
      case 'id':
        return live.sid
      case 'req':
        return member.request
      case 'cookie':
        return this.#cookie(member)
      case 'save':
        return (callback: Callback) => this.#answer(live.save(member), member, callback)
      case 'reload':
        return (callback: Callback) => this.#answer(live.reload(member), member, callback)
      case 'destroy':
        return (callback: Callback) => this.#answer(live.destroy(member), member, callback)
      case 'regenerate':
        return (callback: Callback) => this.#answer(Promise.reject(needsHttp()), member, callback)
      case 'touch':
      case 'resetMaxAge':
        return () => {
          live.touch()
          return live.view(member)
        }
      default:
        return Reflect.get(this.#prototype, name)
    }
  }

  /** As on express-session's own object `id` and `req` are read-only; a copy of the cookie that is there changes nothing. */
  set(name: string, value: unknown): 'ignored' | 'refused' | 'readonly' {
    if (name === 'id' || name === 'req') return 'readonly'
    return name === 'cookie' && isSameImage(value, this.#live.cookie) ? 'ignored' : 'refused'
  }

  #cookie(member: Member): Cookie {
    this.#cookies ??= new WeakMap()
    return getOrInsert(this.#cookies, member, () => this.#live.trackedCookie(member))
  }

  /** With a callback as express-session does it; without one a promise, which nobody has to look at. */
  #answer(work: Promise<void>, member: Member, callback: Callback): Promise<void> | Session {
    if (typeof callback !== 'function') {
      work.catch(() => undefined)
      return work
    }
    work.then(
      () => process.nextTick(callback),
      (error) => process.nextTick(callback, error),
    )
    return this.#live.view(member)
  }
}

function needsHttp(): SharedSessionError {
  return new SharedSessionError(
    'REGENERATE_NEEDS_HTTP',
    "A socket cannot set the browser's cookie, so it cannot give the session a new id. Do it in an HTTP request: req.session.regenerate().",
  )
}

function isSameImage(value: unknown, cookie: Cookie): boolean {
  try {
    return equal(toJson(value, []), toJson(cookie, []))
  } catch {
    return false
  }
}
