import { describe, expect, it } from 'vitest'
import { createSSRApp, effectScope, h } from 'vue'
import { renderToString } from 'vue/server-renderer'
import { mirror } from '../../src/client/index.js'
import { fakeSocket } from '../../src/client/testing/index.js'
import { useSession, useSessionStatus } from '../../src/client/vue.js'

interface State {
  user: string
}

/** A mirror that counts its listeners. */
function counted() {
  const { socket, server } = fakeSocket<State>()
  const live = mirror<State>(socket, { initial: { state: { user: 'Ada' }, tag: 'tag' } })
  let listeners = 0
  for (const store of [live, live.statuses])
    for (const name of ['listen', 'subscribe'] as const) {
      const add = store[name] as (listener: (value: any) => void) => () => void
      store[name] = (listener: (value: any) => void) => {
        listeners++
        const stop = add(listener)
        return () => {
          listeners--
          stop()
        }
      }
    }
  return { server, live, listeners: () => listeners }
}

describe('Vue on a server', () => {
  it('renders the embedded state, and leaves no listener on the mirror, as nothing is unmounted there', async () => {
    const { live, listeners } = counted()
    const Page = {
      setup() {
        const session = useSession(live)
        const status = useSessionStatus(live)
        return () => h('p', `${status.value} ${session.value?.user}`)
      },
    }
    for (let request = 0; request < 3; request++) expect(await renderToString(createSSRApp(Page))).toBe('<p>connecting Ada</p>')
    expect(listeners()).toBe(0)
  })

  it('outside of a component follows at once, until its scope stops', () => {
    const { server, live, listeners } = counted()
    const scope = effectScope()
    const session = scope.run(() => useSession(live))!
    server.publish({ user: 'Bob' })
    server.connect()
    expect(session.value).toEqual({ user: 'Bob' })
    expect(listeners()).toBe(1)
    scope.stop()
    expect(listeners()).toBe(0)
  })
})
