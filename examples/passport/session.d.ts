import 'express-session'

declare module 'express-session' {
  interface SessionData {
    /** Passport's own. */
    passport: { user?: string }
  }
}

declare global {
  namespace Express {
    interface User {
      id: string
      name: string
    }
  }
}

declare module 'http' {
  interface IncomingMessage {
    /** Of a socket: what `passport.session()` made of its session when it came. */
    user?: Express.User | undefined
  }
}
