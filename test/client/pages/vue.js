// What vue.browser.test.ts does in a page. `page` is what a test calls.
import { createApp, createSSRApp, effectScope, h, nextTick, onMounted, ref } from 'vue'
import { renderToString } from 'vue/server-renderer'
import { mirror } from '../../../dist/client.js'
import { fakeSocket } from '../../../dist/testing.js'
import { useSession, useSessionStatus } from '../../../dist/vue.js'

const { socket, server } = fakeSocket()
const live = mirror(socket)
let listeners = 0
const { listen } = live
live.listen = (listener) => {
  listeners++
  const stop = listen(listener)
  return () => {
    listeners--
    stop()
  }
}
let renders = 0
const app = createApp({
  setup() {
    const whole = useSession(live)
    return () => h('div', [h(Items), h('p', { id: 'whole' }, whole.value ? whole.value.user : 'nobody')])
  },
})
const Items = {
  setup() {
    const items = useSession(live, (state) => state.items)
    const status = useSessionStatus(live)
    return () => {
      renders++
      return h('p', { id: 'items' }, `${status.value}: ${items.value}`)
    }
  },
}
app.mount('#root')
window.page = {
  server,
  listeners: () => listeners,
  renders: () => renders,
  unmount: () => app.unmount(),
  /** The server renders with a state; when the page is hydrated, the mirror has another one already. */
  async hydrate() {
    const state = { items: ['tea'], user: 'Ada' }
    const application = (of) => {
      const setup = () => {
        const [whole, items, status] = [useSession(of), useSession(of, (now) => now.items), useSessionStatus(of)]
        return () => h('p', { id: 'hydrated' }, `${status.value} ${whole.value.user} ${items.value}`)
      }
      // The root of the application, and a component in it.
      return createSSRApp({ setup: () => () => h('div', [h({ setup })]) })
    }
    const first = fakeSocket()
    first.server.publish(state)
    first.server.connect()
    const initial = { state, tag: first.server.sent[0]?.t }
    const container = document.getElementById('root')
    container.innerHTML = await renderToString(application(mirror(fakeSocket().socket, { initial })))
    const now = fakeSocket()
    const mirrored = mirror(now.socket, { initial })
    now.server.publish({ items: ['milk'], user: 'Bob' })
    now.server.connect()
    const element = document.getElementById('hydrated')
    application(mirrored).mount(container)
    return { rendered: initial && container.textContent, isSame: element === document.getElementById('hydrated') }
  },
  /** What a component renders that is shown, hidden and shown again, from one vnode; and what it has in onMounted(). */
  async again() {
    const shown = ref(true)
    const rendered = []
    const mounted = []
    const child = h({
      setup() {
        const user = useSession(live, (state) => state.user)
        onMounted(() => mounted.push(useSession(live, (state) => state.user).value))
        return () => {
          rendered.push(user.value)
          return h('p', user.value)
        }
      },
    })
    const container = document.createElement('div')
    document.body.append(container)
    const parent = createApp({ setup: () => () => h('div', shown.value ? [child] : []) })
    parent.mount(container)
    for (const value of [false, true]) {
      shown.value = value
      await nextTick()
      await nextTick()
    }
    parent.unmount()
    return { rendered, mounted }
  },
  scoped() {
    const scope = effectScope()
    const ref = scope.run(() => useSession(live, (state) => state.user))
    server.publish({ items: [], user: 'one' })
    scope.stop()
    server.publish({ items: [], user: 'two' })
    return ref.value
  },
}
