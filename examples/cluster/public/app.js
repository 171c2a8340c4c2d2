// @ts-check
import { mirror } from 'sharedsession/client'

/** @template {HTMLElement} T @param {string} id @param {new () => T} type @returns {T} */
const find = (id, type) => {
  const element = document.getElementById(id)
  if (!(element instanceof type)) throw new Error(`no ${id}`)
  return element
}
const text = (/** @type {string} */ id, /** @type {unknown} */ value) => {
  find(id, HTMLElement).textContent = `${value}`
}

/** @param {string} path @param {object} body */
async function http(path, body) {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) })
  text('http-node', response.headers.get('x-node') ?? '?')
  return response
}

/** @typedef {{ user?: string, clicks: number, words: string[] }} Session what the nodes publish of it */

/** @param {Session} [session] */
function show({ user, clicks, words } = { clicks: 0, words: [] }) {
  find('login', HTMLFormElement).hidden = user !== undefined
  find('logout', HTMLFormElement).hidden = user === undefined
  text('who', user ?? '')
  text('clicks', clicks)
  find('words', HTMLUListElement).replaceChildren(
    ...words.map((word) => Object.assign(document.createElement('li'), { textContent: word })),
  )
}

/** @param {string} what @param {string} [kind] */
function log(what, kind = '') {
  const line = document.createElement('li')
  line.dataset.kind = kind
  const time = Object.assign(document.createElement('time'), { textContent: new Date().toLocaleTimeString() })
  line.append(time, ` ${what}`)
  find('log', HTMLOListElement).prepend(line)
  find('empty', HTMLElement).hidden = true
}

const socket = io({ transports: ['websocket'], reconnectionDelay: 200, reconnectionDelayMax: 1000 })
/** @type {import('sharedsession/client').Mirror<Session>} */
const live = mirror(socket, { renew: () => http('/session', {}) })
live.subscribe(show)
live.statuses.subscribe((status) => {
  if (status === 'switching') log('the session has ended', 'ended')
})
const node = find('node', HTMLElement)

socket.on('node', ({ name, pid }) => {
  node.dataset.node = name
  text('name', name)
  text('pid', pid)
  log(`connected to ${name}`)
})
socket.on('changed', ({ keys, origin }) => log(`session:changed  ${keys.join(', ')}  (${origin})`, origin))
socket.on('disconnect', () => {
  node.dataset.node = ''
  text('name', 'reconnecting')
  text('pid', '-')
  log('the connection is gone', 'ended')
})

find('click', HTMLButtonElement).onclick = () => socket.emit('click', () => undefined)
find('kill', HTMLButtonElement).onclick = () => socket.emit('kill')
find('add', HTMLFormElement).onsubmit = (event) => {
  event.preventDefault()
  const word = find('word', HTMLInputElement)
  socket.emit('word', word.value, () => {
    word.value = ''
  })
}
find('login', HTMLFormElement).onsubmit = (event) => {
  event.preventDefault()
  http('/login', { name: find('user', HTMLInputElement).value })
}
find('logout', HTMLFormElement).onsubmit = (event) => {
  event.preventDefault()
  http('/logout', {})
}
