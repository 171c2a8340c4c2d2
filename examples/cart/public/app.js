// @ts-check

import { mirror } from 'sharedsession/client'

/** @typedef {import('../demo.js').Published} Session what the server publishes of it */
/** @typedef {Session['items'][number]} Item */

const $ = (/** @type {string} */ selector, /** @type {ParentNode} */ root = document) =>
  /** @type {HTMLElement & HTMLInputElement & HTMLFormElement} */ (root.querySelector(selector))
const money = (/** @type {number} */ cents) => `€${(cents / 100).toFixed(2)}`

/* The socket: the cart goes up, the session comes down. */

const socket = io({ transports: ['websocket', 'polling'], reconnectionDelayMax: 2000 })
/** @type {import('sharedsession/client').Mirror<Session>} */
const live = mirror(socket, { renew: () => http('/session', {}) })

/** @param {string} event @param {unknown[]} args */
async function send(event, ...args) {
  try {
    await socket.timeout(5000).emitWithAck(event, ...args)
  } catch {
    notice('The server did not answer.')
  }
}

/* HTTP: log-in, log-out, preferences. What they change comes back by socket, to every tab. */

/** @param {string} path @param {object} [body] */
async function http(path, body) {
  const init = body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  const response = await fetch(path, init)
  if (!response.ok) notice(await response.text())
  return response
}

for (const name of ['login', 'logout', 'preferences']) {
  $(`#${name}`).addEventListener('submit', async (event) => {
    event.preventDefault()
    const form = /** @type {HTMLFormElement} */ (event.currentTarget)
    await http(`/${name}`, Object.fromEntries(new FormData(form)))
    for (const input of form.querySelectorAll('[name="note"]')) /** @type {HTMLInputElement} */ (input).value = ''
  })
}
$('#theme').addEventListener('change', (event) => {
  http('/preferences', { theme: /** @type {HTMLInputElement} */ (event.target).value })
})

/* What is shown. There is no session before the first one has come, and none for a moment when it gives way to another. */

show('theme', '#theme', (theme = document.documentElement.dataset.theme) => {
  document.documentElement.dataset.theme = theme
  $(`#theme [value="${theme}"]`).checked = true
})
show('user', '.account', (user = '') => {
  for (const id of ['login', 'guest']) $(`#${id}`).hidden = user !== ''
  for (const id of ['logout', 'preferences']) $(`#${id}`).hidden = user === ''
  $('#who').textContent = user
  $('.who b').textContent = user.slice(0, 1).toUpperCase()
  $('#preferences [name="name"]').value = user
})
show('noted', '#noted', (noted) => {
  $('#noted').hidden = !noted
})
show('items', '#total', showCart)

/** @type {Partial<Record<import('sharedsession/client').Status, string>>} */
const words = { stale: 'reconnecting', ended: 'no session: are cookies allowed?' }
live.statuses.subscribe((status) => {
  $('#connection').dataset.state = status
  $('#connection span').textContent = words[status] ?? status
  if (status === 'switching') addEvent('end', ['session:destroyed'], 'This tab comes back with the new cookie.')
})
socket.on('change', ({ origin, keys }) => {
  addEvent(origin, keys)
  $('#count').textContent = String(Number($('#count').textContent) + 1)
})

/**
 * Shows a part of the session, now and whenever it changes, and lets its place light up.
 * @template {keyof Session} Key
 * @param {Key} key
 * @param {string} place
 * @param {(value?: Session[Key]) => void} render
 */
function show(key, place, render) {
  let seen = false
  live
    .select((session) => session[key])
    .subscribe((value) => {
      render(value)
      if (seen) flash($(place))
      seen ||= live.get() !== undefined
    })
}

/** @param {readonly Item[]} [items] */
function showCart(items) {
  const list = $('#cart')
  for (const row of /** @type {NodeListOf<HTMLElement>} */ (list.querySelectorAll('li'))) {
    if (!items?.some(({ sku }) => sku === row.dataset.sku)) row.remove()
  }
  for (const item of items ?? []) {
    const row = /** @type {HTMLElement | null} */ (list.querySelector(`[data-sku="${item.sku}"]`)) ?? newRow(item)
    const less = /** @type {HTMLButtonElement} */ (row.querySelector('.less'))
    const more = /** @type {HTMLButtonElement} */ (row.querySelector('.more'))
    less.disabled = item.quantity <= 1
    more.disabled = item.quantity >= 99
    less.onclick = () => send('cart:quantity', item.sku, item.quantity - 1)
    more.onclick = () => send('cart:quantity', item.sku, item.quantity + 1)
    $('.price', row).textContent = money(item.price * item.quantity)
    if ($('output', row).textContent === String(item.quantity)) continue
    $('output', row).textContent = String(item.quantity)
    flash(row)
  }
  $('#total').textContent = money((items ?? []).reduce((sum, { price, quantity }) => sum + price * quantity, 0))
  $('#cart-empty').hidden = items?.length !== 0
}

/** @param {Item} item */
function newRow({ sku, name, price }) {
  const row = copy('item')
  row.dataset.sku = sku
  $('strong', row).textContent = name
  $('small', row).textContent = `${money(price)} each`
  for (const [button, label] of Object.entries({ less: 'One less', more: 'One more', remove: 'Remove' })) {
    $(`.${button}`, row).ariaLabel = `${label}: ${name}`
  }
  $('.remove', row).onclick = () => send('cart:remove', sku)
  $('#cart').append(row)
  return row
}

/** @param {string} origin @param {string[]} keys @param {string} [summary] */
function addEvent(origin, keys, summary = '') {
  const entry = copy('event')
  const way = $('.way', entry)
  way.textContent = origin
  way.classList.add(origin)
  for (const key of keys) $('.keys', entry).append(Object.assign(document.createElement('code'), { textContent: key }))
  $('time', entry).textContent = new Date().toLocaleTimeString([], { hour12: false })
  $('footer', entry).textContent = summary
  $('#events').prepend(entry)
  $('#events-empty').hidden = true
  while ($('#events').children.length > 50) $('#events').lastElementChild?.remove()
  flash(entry)
}

/** @param {string} name a copy of the first element in that template */
function copy(name) {
  const template = /** @type {HTMLTemplateElement} */ (document.querySelector(`#${name}-template`))
  return /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true))
}

/** @param {HTMLElement} element */
function flash(element) {
  element.classList.remove('flash')
  requestAnimationFrame(() => element.classList.add('flash'))
}

/** @param {string} text */
function notice(text) {
  $('#notice').textContent = text
  $('#notice').hidden = false
  setTimeout(() => {
    $('#notice').hidden = true
  }, 4000)
}

for (const { sku, name, origin, notes, price } of await (await http('/coffees')).json()) {
  const tile = copy('coffee')
  tile.dataset.sku = sku
  $('strong', tile).textContent = name
  $('small', tile).textContent = origin
  $('p', tile).textContent = notes
  $('.add', tile).textContent = `Add · ${money(price)}`
  $('.add', tile).ariaLabel = `Add ${name} to the cart`
  $('.add', tile).onclick = () => send('cart:add', sku)
  $('#coffees').append(tile)
}
