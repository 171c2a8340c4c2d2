// The page's side, in ES modules: what a page imports, with the types of React and Vue, and what runs of it in Node.
import assert from 'node:assert/strict'
import { guess, type Mirror, mirror, type Status, type Store } from 'sharedsession/client'
import { conformance, fakeSocket } from 'sharedsession/client/testing'
import { useSession, useSessionStatus } from 'sharedsession/react'
import { useSession as sessionInVue, useSessionStatus as statusInVue } from 'sharedsession/vue'
import { io, type Socket } from 'socket.io-client'

interface Published {
  user?: { name: string }
  items: string[]
}
interface ServerEvents {
  changed: (keys: string[]) => void
}
interface ClientEvents {
  add: (item: string, ack: (answer: { ok: boolean }) => void) => void
}

const typed: Socket<ServerEvents, ClientEvents> = io('http://localhost:1', { autoConnect: false })
const live: Mirror<Published> = mirror<Published>(typed, { renew: () => fetch('/session', { method: 'POST' }) })
const names: Store<string | undefined> = live.select((state) => state.user?.name)
// @ts-expect-error not published
live.select((state) => state.cart)
const written: Promise<{ ok: boolean }> = guess(live, (state) => void state.items.push('tea'), typed.emitWithAck('add', 'tea'))
written.catch(() => {})
live.close()
assert.equal(names.get(), undefined)

export function Component(): string {
  const items: string[] = useSession(live, (state) => state.items) ?? []
  const state: Published | undefined = useSession(live)
  const status: Status = useSessionStatus(live)
  // @ts-expect-error not published
  useSession(live, (all) => all.cart)
  return `${items.join()} ${state?.user?.name} ${status}`
}

export function setup(): string | undefined {
  const items = sessionInVue(live, (state) => state.items)
  const status = statusInVue(live)
  // @ts-expect-error read-only
  items.value = []
  return `${items.value?.join()} ${status.value}`
}

const { socket, server } = fakeSocket<Published>()
const other = mirror<Published>(socket)
server.publish({ items: ['tea'] })
server.connect()
assert.deepEqual(other.get(), { items: ['tea'] })
for (const { run } of conformance((each) => mirror(each))) run()
console.log('client: works')
