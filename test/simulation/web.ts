import { EventEmitter } from 'node:events'
import type { Session } from 'express-session'
import type { SimulatedNode } from './node.js'

/** As much of an HTTP response as express-session and this package use. */
export class WebResponse extends EventEmitter {
  statusCode = 200
  headersSent = false
  writableFinished = false
  destroyed = false
  /** Node's own name for the head that was written. */
  _header = ''
  readonly #headers = new Map<string, string | string[]>()
  readonly #onHead: (setCookies: string[]) => void

  /** @param onHead is called when the head leaves, which may be before the session is saved */
  constructor(onHead: (setCookies: string[]) => void) {
    super()
    this.#onHead = onHead
  }

  getHeader(name: string): string | string[] | undefined {
    return this.#headers.get(name.toLowerCase())
  }

  setHeader(name: string, value: string | string[]): void {
    this.#headers.set(name.toLowerCase(), value)
  }

  removeHeader(name: string): void {
    this.#headers.delete(name.toLowerCase())
  }

  appendHeader(name: string, value: string): void {
    this.setHeader(name, [this.getHeader(name) ?? [], value].flat())
  }

  // express-session puts its own function over it.
  writeHead(): void {
    this._header = 'HTTP/1.1 200 OK'
    this.headersSent = true
    // express-session writes it also where the connection is lost: nobody gets it.
    if (!this.destroyed) this.#onHead([this.getHeader('set-cookie') ?? []].flat())
  }

  _implicitHeader(): void {
    this.writeHead()
  }

  write(): boolean {
    if (!this.headersSent) this._implicitHeader()
    return true
  }

  /** Its connection is lost. */
  abort(): void {
    if (this.writableFinished || this.destroyed) return
    this.destroyed = true
    this.emit('close')
  }

  end(): void {
    if (this.destroyed) return
    if (!this.headersSent) this._implicitHeader()
    this.writableFinished = true
    this.emit('finish')
    this.emit('close')
  }
}

/** A request as express-session sees it. */
export interface WebRequest {
  method: string
  url: string
  originalUrl: string
  headers: { host: string; cookie?: string; upgrade?: string }
  socket: object
  connection: object
  res?: WebResponse
  sessionID?: string
  session?: Session & Record<string, any>
}

export function requestWith(cookie: string | undefined, url = '/'): WebRequest {
  const headers = { host: 'localhost', ...(cookie !== undefined && { cookie }) }
  return { method: 'GET', url, originalUrl: url, headers, socket: {}, connection: {} }
}

/** A request arrives: the hook of the HTTP server comes first, then express-session, then the route. @param route gets an error of the session middleware */
export function serve(node: SimulatedNode, request: WebRequest, response: WebResponse, route: (error?: unknown) => void): void {
  request.res = response
  node.preparer.onRequest(request as never, response as never)
  node.middleware(request as never, response as never, route)
}

/** The cookies of one browser. */
export class CookieJar {
  readonly #cookies = new Map<string, string>()

  /** @param lines of `Set-Cookie` */
  accept(lines: readonly string[]): void {
    for (const line of lines) {
      const [pair = '', ...attributes] = line.split(';')
      const equals = pair.indexOf('=')
      const name = pair.slice(0, equals).trim()
      if (attributes.some((each) => each.includes('01 Jan 1970'))) this.#cookies.delete(name)
      else this.#cookies.set(name, pair.slice(equals + 1).trim())
    }
  }

  /** The header `Cookie`. */
  get header(): string | undefined {
    if (this.#cookies.size === 0) return undefined
    return [...this.#cookies].map((pair) => pair.join('=')).join('; ')
  }
}

/** What a browser sends, for the log: the session of its session cookie, and those of its handshake cookies. */
export function cookiesIn(header = ''): string {
  return header
    .split('; ')
    .map(
      (pair) =>
        `${pair.startsWith('connect.sid.socket.') ? (pair.includes('=~') ? 'first ' : 'instead ') : ''}${/s%3A([\w-]+)/.exec(pair)?.[1] ?? ''}`,
    )
    .join(', ')
}
