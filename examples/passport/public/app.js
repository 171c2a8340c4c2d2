// @ts-check
import { mirror } from 'sharedsession/client'

/** @template {HTMLElement} T @param {string} id @param {new () => T} type @returns {T} */
const find = (id, type) => {
  const element = document.getElementById(id)
  if (!(element instanceof type)) throw new Error(`no ${id}`)
  return element
}
const text = (/** @type {string} */ id, /** @type {string} */ value) => {
  find(id, HTMLElement).textContent = value
}

/* HTTP: who logs in and out. What that does to the sockets comes by itself, to every tab. */

/** @param {string} path @param {object} [body] @returns {Promise<{ user?: string | null, error?: string }>} */
async function http(path, body) {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(path, body && { method: 'POST', headers, body: JSON.stringify(body) }).catch(() => undefined)
  return response?.json() ?? { error: 'The server did not answer.' }
}

const login = find('login', HTMLFormElement)
login.addEventListener('submit', async (event) => {
  event.preventDefault()
  const { error = '' } = await http('/login', Object.fromEntries(new FormData(login)))
  text('login-error', error)
  if (!error) login.reset()
})
login.addEventListener('click', ({ target }) => {
  if (!(target instanceof HTMLElement) || !target.dataset.username) return
  for (const [name, value] of Object.entries(target.dataset)) {
    const input = login.elements.namedItem(name)
    if (input instanceof HTMLInputElement) input.value = `${value}`
  }
})
find('logout', HTMLFormElement).addEventListener('submit', async (event) => {
  event.preventDefault()
  await http('/logout', {})
})

/* The socket for everybody, and the one for members. */

const socket = io({ transports: ['websocket', 'polling'], reconnectionDelayMax: 2000 })
const members = io('/members', { autoConnect: false })
/** @type {import('sharedsession/client').Mirror<{ user: string | null }>} */
const live = mirror(socket, { renew: () => fetch('/session', { method: 'POST' }) })

live.subscribe(async (session) => {
  const user = session?.user ?? null
  find('login', HTMLFormElement).hidden = user !== null
  find('logout', HTMLFormElement).hidden = user === null
  showUser('socket-user', user)
  if (user === null) members.disconnect()
  else members.connect()
  if (!session) return
  log(`connected as ${user ?? 'nobody'}`, user ? 'user' : '')
  showUser('http-user', (await http('/me')).user)
})
live.statuses.subscribe((status) => {
  find('connection', HTMLElement).dataset.state = status
  text('connection', status === 'ended' ? 'no session: are cookies allowed?' : status)
  if (status === 'stale') log('the connection is gone', 'gone')
  if (status === 'switching') log('the session has ended', 'gone')
})

socket.on('notes', (/** @type {{ by: string, text: string }[]} */ notes) => {
  find('notes-empty', HTMLElement).hidden = notes.length > 0
  find('notes', HTMLElement).replaceChildren(...notes.map(({ by, text }) => line(text, element('b', by), ' ')))
})

members.on('members', (/** @type {string[]} */ names) => showMembers(names))
members.on('disconnect', () => showMembers([]))

const note = find('note', HTMLFormElement)
note.addEventListener('submit', async (event) => {
  event.preventDefault()
  const answer = socket.timeout(5000).emitWithAck('note', new FormData(note).get('text'))
  const { error = '' } = await answer.catch(() => ({ error: 'The server did not answer.' }))
  text('note-error', error)
  if (!error) note.reset()
})

/* What is shown. */

/** @param {string} id @param {string | null} [user] */
function showUser(id, user) {
  const changed = find(id, HTMLElement)
  changed.textContent = user ?? 'nobody'
  changed.classList.toggle('somebody', Boolean(user))
  text('note-error', '')
}

/** @param {string[]} names */
function showMembers(names) {
  find('members-closed', HTMLElement).hidden = names.length > 0
  find('members', HTMLElement).replaceChildren(...names.map((name) => line(name)))
}

/** @param {string} what @param {string} kind */
function log(what, kind) {
  const time = element('time', new Date().toLocaleTimeString([], { hour12: false }))
  const entry = line(` ${what}`, time)
  entry.dataset.kind = kind
  const list = find('log', HTMLElement)
  list.prepend(entry)
  while (list.children.length > 50) list.lastElementChild?.remove()
}

/** @param {string} text @param {(Node | string)[]} before */
function line(text, ...before) {
  const entry = element('li', '')
  entry.append(...before, text)
  return entry
}

/** @param {string} name @param {string} textContent */
function element(name, textContent) {
  return Object.assign(document.createElement(name), { textContent })
}
