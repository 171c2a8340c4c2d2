import { ControlledStore } from '../support/controlled-store.js'
import type { Opened } from './harness.js'

/** express-session's own store, under control. */
export function memory(): Opened<ControlledStore> {
  const store = new ControlledStore()
  return {
    store,
    async held(sid) {
      return withoutRecord(store.stored(sid))
    },
    async put(sid, session) {
      store.foreign(sid, session)
    },
    async left(sid) {
      return new Date(store.stored(sid)?.cookie.expires).getTime() - Date.now()
    },
  }
}

export function withoutRecord(session: any): any {
  if (!session?.cookie) return session ?? undefined
  const { sharedsession: _, ...cookie } = session.cookie
  return { ...session, cookie }
}
