/** What the application of these tests declares, once: everything else must follow from it. */
declare module 'express-session' {
  interface SessionData {
    user: { id: number; name: string }
    cart: { items: { sku: string; price: number }[] }
    /** A name that `shared` has as a member, and the session must not. */
    update: string
  }
}

export interface ClientEvents {
  'cart:add': (sku: string, ack: (result: 'ok' | 'no') => void) => void
  ping: () => void
}

export interface ServerEvents {
  price: (cents: number) => void
}

export interface InterServerEvents {
  sync: (at: number) => void
}

export interface SocketData {
  joined: number
}

/** Holds where both types are the same one. */
export function same<Left, Right>(
  ..._: (<T>() => T extends Left ? 1 : 2) extends <T>() => T extends Right ? 1 : 2 ? [] : ['not the same', Left, Right]
): void {}
