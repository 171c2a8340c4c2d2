// What vue.browser.test.ts does in a page. `page` is what a test calls.
import { createApp, effectScope, h } from 'vue'
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
  scoped() {
    const scope = effectScope()
    const ref = scope.run(() => useSession(live, (state) => state.user))
    server.publish({ items: [], user: 'one' })
    scope.stop()
    server.publish({ items: [], user: 'two' })
    return ref.value
  },
}
