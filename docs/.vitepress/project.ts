export const repository = 'https://github.com/sharedsession/sharedsession'
/** The path of the site on its host. */
export const base = '/sharedsession/'
export const site = `https://sharedsession.github.io${base}`
export const description =
  'One live express-session session for your Express routes and your Socket.IO sockets, on every node at once.'
