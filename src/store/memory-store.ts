import expressSession from 'express-session'
import { methodOf } from './drivers/own-methods.js'

/** What express-session's own store keeps: the JSON of its sessions. */
export interface MemoryStore {
  sessions: Record<string, string>
}

/** It keeps its sessions in an object without a prototype: nobody else can write there. */
export function isMemoryStore(store: object): store is MemoryStore {
  const { sessions } = store as { sessions?: object }
  return typeof sessions === 'object' && sessions !== null && Object.getPrototypeOf(sessions) === null
}

/**
 * Its methods are express-session's own: those of a subclass, or those that somebody has put over them, are to be called. By their
 * source, because the application may have another copy of express-session.
 */
export function isPlainMemoryStore(store: object): store is MemoryStore {
  const { prototype } = expressSession.MemoryStore
  const methods = ['get', 'set', 'destroy', 'touch', 'all', 'clear'] as const
  const isItsOwn = (name: (typeof methods)[number]): boolean =>
    Object.hasOwn(Object.getPrototypeOf(store), name) && String(methodOf(store, name)) === String(prototype[name])
  return isMemoryStore(store) && methods.every(isItsOwn)
}
