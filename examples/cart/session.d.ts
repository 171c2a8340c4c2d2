import 'express-session'

declare module 'express-session' {
  interface SessionData {
    theme: 'auto' | 'light' | 'dark'
    user: { name: string }
    cart: { items: { sku: string; name: string; price: number; quantity: number }[] }
    /** Private: it does not leave the server. */
    note: string
  }
}
