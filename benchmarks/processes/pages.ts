// Pages that show the state of a session, by Socket.IO's own client.
import { io, type Socket } from 'socket.io-client'
import { cookieOf } from '../session.js'
import { Wire } from '../wire.js'
import { serve } from '../worker.js'
import type { Way } from './pages-server.js'

type Client = typeof import('../../src/client/index.js')

interface State {
  total: number
}

/** The events that carry a state. */
const STATES = /^42\["(?:state|session:mirror)"/

export type PageOffers = Awaited<ReturnType<typeof open>>

class Page {
  readonly socket: Socket
  /** Bytes of the events that carried a state. */
  bytes = 0
  frames = 0
  shown: State | undefined
  #onShown: () => void = () => undefined

  constructor(client: Client, port: number, sid: string, way: Way) {
    this.socket = io(`http://127.0.0.1:${port}`, {
      forceNew: true,
      transports: ['websocket'],
      extraHeaders: { cookie: cookieOf(sid) },
      reconnectionDelay: 1,
      randomizationFactor: 0,
      autoConnect: false,
    })
    const show = (state: State | undefined): void => {
      this.shown = state
      this.#onShown()
    }
    if (way === 'mirror') client.mirror<State>(this.socket).subscribe(show)
    else this.socket.on('state', show)
    this.socket.io.on('open', () => {
      this.socket.io.engine.on('packet', ({ type, data }) => {
        if (type !== 'message' || !STATES.test(`4${data}`)) return
        this.bytes += Buffer.byteLength(data as string)
        this.frames++
      })
    })
    this.socket.connect()
  }

  /** Resolves when it shows a state of which this is true. */
  until(isThat: (state: State) => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#onShown = () => {
        if (this.shown && isThat(this.shown)) resolve()
      }
      this.#onShown()
    })
  }

  /** The connection of a page that does not read. */
  get connection(): { pause(): void; resume(): void } {
    // Of the package ws, which Socket.IO's client uses here.
    return (this.socket.io.engine.transport as unknown as { ws: { _socket: { pause(): void; resume(): void } } }).ws._socket
  }
}

async function open() {
  const client: Client = await import(process.env.BENCH_CLIENT!)
  let pages: Page[] = []
  const wires: Wire[] = []
  let total = 1_000_000
  return {
    /** Opens a page for each id, and waits until all show something. */
    async open(port: number, sids: string[], way: Way) {
      pages = sids.map((sid) => new Page(client, port, sid, way))
      await Promise.all(pages.map((page) => page.until(() => true)))
    },
    /** Sockets that ask for a mirror, or do not, and do nothing else. */
    async idle(port: number, sids: string[], asks: boolean) {
      let next = 0
      const one = async (): Promise<void> => {
        while (next < sids.length)
          wires.push(await Wire.connect(port, cookieOf(sids[next++]!), asks ? '{"session:mirror":[0,0]}' : ''))
      }
      await Promise.all(Array.from({ length: 50 }, one))
    },
    /**
     * The first page writes, the last one shows it: so often, one after the other.
     * @returns medians in µs: from the event to the other page, and from the ack to the other page
     */
    async writes(times: number) {
      const [first, last] = [pages[0]!, pages.at(-1)!]
      const fromEvent: number[] = []
      const fromAck: number[] = []
      for (let time = 0; time < times; time++) {
        const value = ++total
        const shown = last.until((state) => state.total === value).then(() => performance.now())
        const sent = performance.now()
        const acked = first.socket.emitWithAck('write', value).then(() => performance.now())
        const [shownAt, ackedAt] = await Promise.all([shown, acked])
        fromEvent.push((shownAt - sent) * 1000)
        fromAck.push((shownAt - ackedAt) * 1000)
      }
      return { fromEvent: middle(fromEvent), fromAck: middle(fromAck) }
    },
    /** Bytes and frames of states since the last call, of all pages. */
    received() {
      const sum = { bytes: 0, frames: 0 }
      for (const page of pages) {
        sum.bytes += page.bytes
        sum.frames += page.frames
        page.bytes = 0
        page.frames = 0
      }
      return sum
    },
    /** Resolves when all pages show this total. */
    async shows(value: number) {
      await Promise.all(pages.map((page) => page.until(({ total }) => total === value)))
    },
    shown: () => pages.at(-1)?.shown?.total,
    /** All pages lose their connections, and come back. */
    async reconnect() {
      const back = pages.map((page) => new Promise((resolve) => page.socket.once('connect', () => resolve(undefined))))
      for (const page of pages) page.socket.io.engine.close()
      await Promise.all(back)
      // What the server sends to a new connection comes before this.
      await Promise.all(pages.map((page) => page.socket.emitWithAck('ready')))
    },
    pause() {
      for (const page of pages) page.connection.pause()
    },
    resume() {
      for (const page of pages) page.connection.resume()
    },
    close() {
      for (const page of pages) page.socket.disconnect()
      for (const wire of wires.splice(0)) wire.close()
      pages = []
    },
  }
}

function middle(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!
}

serve(open)
