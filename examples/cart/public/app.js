// @ts-check

/**
 * @typedef {{ sku: string, name: string, price: number, quantity: number }} Item
 * @typedef {{ theme: string, user?: string, items: Item[], noted: boolean }} View what the server shows of the session
 * @typedef {{ op: string, path: (string | number)[], value?: unknown }} Patch
 * @typedef {{ at: number, origin: string, keys: string[], patches: Patch[], withheld: number }} Change
 */

const $ = (/** @type {string} */ selector, /** @type {ParentNode} */ root = document) =>
  /** @type {HTMLElement & HTMLInputElement & HTMLFormElement} */ (root.querySelector(selector))
const money = (/** @type {number} */ cents) => `€${(cents / 100).toFixed(2)}`

/* The socket: the cart goes up, what others did comes down. */

// A session that ends takes its sockets along; they come back at once, with the cookie that the browser then has.
const socket = io({
  transports: ['websocket', 'polling'],
  reconnectionDelay: 50,
  randomizationFactor: 0,
  reconnectionDelayMax: 2000,
})
let refusals = 0

socket.on('connect', () => {
  refusals = 0
  state('live')
})
socket.on('disconnect', () => state('reconnecting'))
socket.on('connect_error', async (error) => {
  if (error.data?.code !== 'FETCH_SESSION') return state('reconnecting')
  if (++refusals > 5) return state('no session: are cookies allowed?')
  // One tab after the other: the first gets a new session's cookie, and the next ones meet it in there.
  await (navigator.locks?.request('session', () => http('/session')) ?? http('/session'))
  socket.connect()
})

socket.on('session', show)
socket.on('change', addChange)
socket.on('ended', addEnd)

/** @param {string} event @param {unknown[]} args */
async function send(event, ...args) {
  try {
    show(await socket.timeout(5000).emitWithAck(event, ...args))
  } catch {
    notice('The server did not answer.')
  }
}

/* HTTP: log-in, log-out, preferences. What they change comes back by socket, to every tab. */

/** @param {string} path @param {object} [body] */
async function http(path, body) {
  const init = body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  const response = await fetch(path, init)
  const answer = await response.text()
  if (!response.ok) notice(answer)
  return response.ok && answer ? JSON.parse(answer) : undefined
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

/* What is shown. */

/** @type {View | undefined} */
let shown

/** Shows the session, and lets what is different from before light up. @param {View} view */
function show(view) {
  const before = shown
  shown = view
  document.documentElement.dataset.theme = view.theme
  $(`#theme [value="${view.theme}"]`).checked = true
  $('#login').hidden = Boolean(view.user)
  $('#guest').hidden = Boolean(view.user)
  $('#logout').hidden = !view.user
  $('#preferences').hidden = !view.user
  $('#noted').hidden = !view.noted
  $('#who').textContent = view.user ?? ''
  $('.who b').textContent = (view.user ?? '').slice(0, 1).toUpperCase()
  if (view.user !== before?.user) $('#preferences [name="name"]').value = view.user ?? ''
  showCart(view.items)
  if (!before) return
  if (view.user !== before.user) flash($(view.user ? '#logout' : '#login'))
  if (view.theme !== before.theme) flash($('#theme'))
  if (view.noted && !before.noted) flash($('#noted'))
}

/** @param {Item[]} items */
function showCart(items) {
  const list = $('#cart')
  for (const row of /** @type {NodeListOf<HTMLElement>} */ (list.querySelectorAll('li'))) {
    if (!items.some(({ sku }) => sku === row.dataset.sku)) row.remove()
  }
  for (const item of items) {
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
  const total = money(items.reduce((sum, { price, quantity }) => sum + price * quantity, 0))
  if ($('#total').textContent && $('#total').textContent !== total) flash($('#total'))
  $('#total').textContent = total
  $('#cart-empty').hidden = items.length > 0
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

/** @param {Change} change */
function addChange({ at, origin, keys, patches, withheld }) {
  const lines = patches.map(({ op, path, value }) => {
    const json = JSON.stringify(value, null, 1)?.replace(/\n\s*/g, ' ') ?? ''
    return `${op} /${path.join('/')} ${json}`
  })
  const all = patches.length + withheld
  addEvent(at, origin, keys, lines, `${all} ${all === 1 ? 'patch' : 'patches'}${withheld ? `, ${withheld} withheld` : ''}`)
  $('#count').textContent = String(Number($('#count').textContent) + 1)
}

/** @param {{ at: number, reason: string }} end */
function addEnd({ at, reason }) {
  addEvent(at, 'end', ['session:destroyed'], [], `${reason}: this tab comes back with the new cookie`)
}

/** @param {number} at @param {string} origin @param {string[]} keys @param {string[]} lines @param {string} summary */
function addEvent(at, origin, keys, lines, summary) {
  const entry = copy('event')
  const way = $('.way', entry)
  way.textContent = origin
  way.classList.add(origin)
  for (const key of keys) $('.keys', entry).append(Object.assign(document.createElement('code'), { textContent: key }))
  $('time', entry).textContent = new Date(at).toLocaleTimeString([], { hour12: false })
  $('pre', entry).textContent = lines.join('\n')
  $('pre', entry).hidden = lines.length === 0
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
function state(text) {
  $('#connection').dataset.state = text
  $('#connection span').textContent = text
}

/** @param {string} text */
function notice(text) {
  $('#notice').textContent = text
  $('#notice').hidden = false
  setTimeout(() => {
    $('#notice').hidden = true
  }, 4000)
}

for (const { sku, name, origin, notes, price } of await http('/coffees')) {
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
