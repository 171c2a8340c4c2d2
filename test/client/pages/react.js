// What react.browser.test.ts does in a page, with React 18 as with React 19. `page` is what a test calls.
import { createElement as h, StrictMode, startTransition, useLayoutEffect, useState, version } from 'react'
import { createRoot, hydrateRoot } from 'react-dom/client'
import { renderToString } from 'react-dom/server.browser'
import { guess, mirror } from '../../../dist/client.js'
import { useSession, useSessionStatus } from '../../../dist/react.js'
import { fakeSocket } from '../../../dist/testing.js'

const STATE = { items: ['tea'], user: { name: 'Ada' }, count: 0 }
const renders = {}
const counted = (name) => {
  renders[name] = (renders[name] ?? 0) + 1
}

const Items = ({ live }) => {
  counted('Items')
  // An inline function, another one at each render.
  const items = useSession(live, (state) => state.items)
  return h('p', { id: 'items' }, items ? items.join() : 'none')
}
const Lengths = ({ live }) => {
  counted('Lengths')
  const lengths = useSession(
    live,
    (state) => state.items.map((item) => item.length),
    (a, b) => a.join() === b.join(),
  )
  return h('p', { id: 'lengths' }, String(lengths))
}
const Whole = ({ live }) => {
  const state = useSession(live)
  return h('p', { id: 'whole' }, state ? `${state.user.name} ${state.count}` : 'nobody')
}
const Status = ({ live }) => h('p', { id: 'status' }, useSessionStatus(live))
const Part = ({ live }) => {
  const [key, setKey] = useState('count')
  const part = useSession(live, (state) => JSON.stringify(state[key]))
  return h('button', { id: 'part', type: 'button', onClick: () => setKey('user') }, part)
}
const App = ({ live }) => [Items, Lengths, Whole, Status, Part].map((component) => h(component, { live, key: component.name }))

function scene(options) {
  const { socket, server } = fakeSocket()
  server.publish(STATE)
  const live = mirror(socket, options)
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
  return { server, live, listeners: () => listeners }
}

window.page = {
  version,
  STATE,
  renders,
  guess,
  /** An application in StrictMode. */
  strict() {
    const { server, live, listeners } = scene()
    const root = createRoot(document.getElementById('root'))
    root.render(h(StrictMode, null, h(App, { live })))
    Object.assign(window.page, { server, live, listeners, unmount: () => root.unmount() })
  },
  /** The server renders with a state; when the page is hydrated, the mirror has another one already. */
  hydrate(changed) {
    const first = scene()
    first.server.connect()
    const [{ t: tag }] = first.server.sent
    const initial = { state: STATE, tag }
    const html = renderToString(h(App, { live: scene({ initial }).live }))
    const container = document.getElementById('root')
    container.innerHTML = html
    const { server, live } = scene({ initial })
    server.connect()
    if (changed) server.publish({ ...STATE, items: ['milk'], count: 5 })
    const seen = []
    new MutationObserver(() => seen.push(container.textContent)).observe(container, {
      subtree: true,
      characterData: true,
      childList: true,
    })
    hydrateRoot(container, h(App, { live }), { onRecoverableError: (error) => console.error(error) })
    Object.assign(window.page, { server, live, html: container.textContent, seen, sent: server.sent })
  },
  /** Many slow components are rendered in slices, while the state changes all the time. Resolves with the values of each commit. */
  async tear() {
    const { server, live } = scene()
    server.connect()
    const Slow = () => {
      const count = useSession(live, (state) => state.count)
      for (const end = performance.now() + 2; performance.now() < end; );
      return h('i', null, String(count))
    }
    const commits = []
    let show
    const Torn = () => {
      const [shown, setShown] = useState(0)
      show = setShown
      useLayoutEffect(() => {
        commits.push([...new Set([...document.querySelectorAll('i')].map((each) => each.textContent))].length)
      })
      return Array.from({ length: shown }, (_, index) => h(Slow, { key: index }))
    }
    createRoot(document.getElementById('root')).render(h(Torn))
    while (!show) await new Promise((resolve) => setTimeout(resolve))
    let published = 0
    const timer = setInterval(() => published < 20 && server.publish({ ...STATE, count: ++published }), 5)
    startTransition(() => show(20))
    while (document.querySelectorAll('i').length < 20) await new Promise((resolve) => setTimeout(resolve, 5))
    clearInterval(timer)
    return { commits, published }
  },
}
