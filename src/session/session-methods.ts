import type { Cookie, Session } from 'express-session'
import { equal } from '../document/json.js'
import { toJson } from '../document/to-json.js'
import { SharedSessionError } from '../errors.js'
import { getOrInsert } from '../util/maps.js'
import type { ActiveSession } from './active-session.js'
import type { Member } from './member.js'
import { isReservedName } from './reserved-names.js'

type Callback = ((error?: unknown) => void) | undefined

/** What express-session's methods call, as a replica has it. */
export interface SessionCommands {
  readonly sid: string
  readonly cookie: Cookie
  view(member: Member): object
  activate(): Pick<ActiveSession, 'save' | 'reload' | 'destroy' | 'touch' | 'trackedCookie'>
}

/**
 * The members of express-session's own `Session` on the root of a live session: `id`, `cookie`, `req`, `save()`, `reload()`, `destroy()`,
 * `touch()` ... They act for the socket in whose view they are read.
 */
export class SessionMethods {
  readonly #commands: SessionCommands
  readonly #prototype: object
  #cookies: WeakMap<Member, Cookie> | undefined

  /** @param prototype express-session's `Session.prototype`, of the copy that the application uses */
  constructor(commands: SessionCommands, prototype: object) {
    this.#commands = commands
    this.#prototype = prototype
  }

  /** Names that express-session does not load from a store: its own, and those of every object. */
  has(name: string): boolean {
    return isReservedName(name, this.#prototype)
  }

  get(name: string, member: Member): unknown {
    const commands = this.#commands
    switch (name) {
      case '__proto__':
        // A name from outside must not reach a prototype.
        return undefined
      case 'id':
        return commands.sid
      case 'req':
        return member.request
      case 'cookie':
        return this.#cookie(member)
      case 'save':
        return (callback: Callback) => this.#answer(commands.activate().save(member), member, callback)
      case 'reload':
        return (callback: Callback) => this.#answer(commands.activate().reload(member), member, callback)
      case 'destroy':
        return (callback: Callback) => this.#answer(commands.activate().destroy(member), member, callback)
      case 'regenerate':
        return (callback: Callback) => this.#answer(Promise.reject(needsHttp()), member, callback)
      case 'touch':
      case 'resetMaxAge':
        return () => {
          commands.activate().touch()
          return commands.view(member)
        }
      default:
        return Reflect.get(this.#prototype, name)
    }
  }

  /** As in express-session, `id` and `req` are read-only. Assigning a copy of the present cookie changes nothing. */
  set(name: string, value: unknown): 'ignored' | 'refused' | 'readonly' {
    if (name === 'id' || name === 'req') return 'readonly'
    return name === 'cookie' && isSameJson(value, this.#commands.cookie) ? 'ignored' : 'refused'
  }

  #cookie(member: Member): Cookie {
    this.#cookies ??= new WeakMap()
    return getOrInsert(this.#cookies, member, () => this.#commands.activate().trackedCookie(member))
  }

  /** Calls back as express-session does. Without a callback returns a promise, whose rejection may stay unhandled. */
  #answer(work: Promise<void>, member: Member, callback: Callback): Promise<void> | Session {
    if (typeof callback !== 'function') {
      work.catch(() => undefined)
      return work
    }
    work.then(
      () => process.nextTick(callback),
      (error) => process.nextTick(callback, error),
    )
    return this.#commands.view(member) as Session
  }
}

function needsHttp(): SharedSessionError {
  return new SharedSessionError(
    'REGENERATE_NEEDS_HTTP',
    "A socket cannot set the browser's cookie, so it cannot give the session a new id. Do it in an HTTP request: req.session.regenerate().",
  )
}

function isSameJson(value: unknown, cookie: Cookie): boolean {
  try {
    return equal(toJson(value, []), toJson(cookie, []))
  } catch {
    return false
  }
}
