import { EventEmitter } from 'node:events'
import expressSession, { type SessionData } from 'express-session'

type Callback = (error?: any, session?: any) => void

const { Store } = expressSession as unknown as { Store: new () => expressSession.Store }

/** connect-mongo's habits: `set` changes what it is given, a touch of a missing session fails, callbacks come twice. */
export class MongoLikeStore extends Store {
  readonly sessions = new Map<string, string>()

  override get(sid: string, callback: Callback): void {
    const json = this.sessions.get(sid)
    setImmediate(() => {
      callback(null, json === undefined ? null : JSON.parse(json))
      callback(null, json === undefined ? null : JSON.parse(json))
    })
  }

  override set(sid: string, session: any, callback: Callback = () => {}): void {
    const json = JSON.stringify(session)
    for (const key of Object.keys(session)) {
      if (key === 'cookie') continue
      for (const nested of Object.keys(Object(session[key]))) if (typeof session[key] === 'object') delete session[key][nested]
      delete session[key]
    }
    this.sessions.set(sid, json)
    setImmediate(() => {
      callback()
      callback(new Error('answered twice'))
    })
  }

  override touch(sid: string, session: any, callback: Callback = () => {}): void {
    setImmediate(() => {
      const json = this.sessions.get(sid)
      if (json === undefined) return callback(new Error('Unable to find the session to touch'))
      this.sessions.set(sid, JSON.stringify({ ...JSON.parse(json), cookie: session.cookie }))
      callback()
    })
  }

  override destroy(sid: string, callback: Callback = () => {}): void {
    this.sessions.delete(sid)
    setImmediate(callback)
  }
}

/** Keeps the objects it is given and hands them out; `shallow`: copies their first level. It has no `touch`. */
export class ObjectStore extends Store {
  readonly sessions = new Map<string, SessionData>()
  readonly shallow: boolean

  constructor(shallow = false) {
    super()
    this.shallow = shallow
  }

  override get(sid: string, callback: Callback): void {
    const session = this.sessions.get(sid)
    setImmediate(callback, null, this.shallow && session ? { ...session } : session)
  }

  override set(sid: string, session: SessionData, callback: Callback = () => {}): void {
    this.sessions.set(sid, session)
    setImmediate(callback)
  }

  override destroy(sid: string, callback: Callback = () => {}): void {
    this.sessions.delete(sid)
    setImmediate(callback)
  }
}

/** session-file-store's habit: a missing session is an error with the code ENOENT. No `touch`. */
export class FileLikeStore extends Store {
  readonly sessions = new Map<string, string>()

  override get(sid: string, callback: Callback): void {
    const json = this.sessions.get(sid)
    if (json === undefined) setImmediate(callback, Object.assign(new Error('no such file'), { code: 'ENOENT' }))
    else setImmediate(callback, null, JSON.parse(json))
  }

  override set(sid: string, session: SessionData, callback: Callback = () => {}): void {
    this.sessions.set(sid, JSON.stringify(session))
    setImmediate(callback)
  }

  override destroy(sid: string, callback: Callback = () => {}): void {
    this.sessions.delete(sid)
    setImmediate(callback)
  }
}

/** connect-mongodb-session's habits: uses its own public methods inside others, also after waiting; inserts on touch. */
export class SelfCallingStore extends FileLikeStore {
  override get(sid: string, callback: Callback): void {
    const json = this.sessions.get(sid)
    const session = json === undefined ? undefined : JSON.parse(json)
    const expired = session?.cookie.expires && new Date(session.cookie.expires).getTime() <= Date.now()
    setImmediate(() => (expired ? this.destroy(sid, (error) => callback(error, null)) : callback(null, session)))
  }

  override touch = (sid: string, session: SessionData, callback: Callback = () => {}): void => {
    this.get(sid, (error, found) => {
      if (error) return callback(error)
      this.set(sid, { ...found, ...session }, callback)
    })
  }
}

/** Not of express-session's class, its methods its own, and enumerable; promises instead of throws. */
export function plainStore(): expressSession.Store {
  const sessions = new Map<string, string>()
  const memory = new expressSession.MemoryStore()
  const own = {
    get: async (sid: string, callback: Callback) => callback(null, sessions.has(sid) ? JSON.parse(sessions.get(sid)!) : null),
    set: async (sid: string, session: SessionData, callback: Callback) => {
      if ((session as any).reject) throw new Error('rejected')
      sessions.set(sid, JSON.stringify(session))
      callback?.()
    },
    destroy: async (sid: string, callback: Callback) => {
      sessions.delete(sid)
      callback?.()
    },
    createSession: memory.createSession,
    regenerate: memory.regenerate,
  }
  return Object.assign(new EventEmitter(), own) as unknown as expressSession.Store
}
