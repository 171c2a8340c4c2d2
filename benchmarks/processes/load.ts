// What clients do: sockets that connect and send events, HTTP connections that send requests.

import { HttpWire } from '../http-wire.js'
import { cookieOf } from '../session.js'
import { frame, Wire } from '../wire.js'
import { serve } from '../worker.js'

export interface EventLoad {
  /** `read`, or `write` to a key of the socket's own. */
  event: 'read' | 'write'
  /** Events of one socket that are on their way at once. */
  window: number
  ms: number
}

export interface Load {
  count: number
  ms: number
  /** The median of what one took, in µs; of loads with one on its way per connection. */
  delay: number
}

export type LoadOffers = ReturnType<typeof open>

function open() {
  const groups = new Map<string, Wire[]>()
  const group = (name: string): Wire[] => groups.get(name) ?? []
  let value = 0
  return {
    /**
     * Opens a socket for each id, so many at once.
     * @param writes each changes one key as soon as it is let in, and is connected when that is acknowledged
     * @returns ms until the last one was connected
     */
    async connect(name: string, port: number, sids: string[], atOnce: number, writes = false) {
      const cookies = sids.map(cookieOf)
      const wires: Wire[] = []
      const start = performance.now()
      let next = 0
      const one = async (): Promise<void> => {
        while (next < cookies.length) {
          const index = next++
          const wire = await Wire.connect(port, cookies[index]!)
          wires[index] = wire
          if (!writes) continue
          const acked = new Promise((resolve) => (wire.acked = resolve))
          wire.send(frame(`421["write","k0",${++value}]`))
          await acked
        }
      }
      await Promise.all(Array.from({ length: atOnce }, one))
      groups.set(name, [...group(name), ...wires])
      return performance.now() - start
    },
    /**
     * Opens a socket for each id, evenly within a time, whether or not those before were let in.
     * @returns for each, in order, ms from the beginning until it was let in
     */
    async storm(name: string, port: number, sids: string[], within: number) {
      const cookies = sids.map(cookieOf)
      const served: number[] = []
      const wires: Promise<Wire>[] = []
      const start = performance.now()
      while (wires.length < cookies.length) {
        const due = Math.min(cookies.length, Math.ceil(((performance.now() - start) / within) * cookies.length))
        while (wires.length < due) {
          const wire = comeBack(port, cookies[wires.length]!)
          wires.push(wire)
          // Who is refused is told of by the wait for all.
          wire.then(
            () => served.push(performance.now() - start),
            () => undefined,
          )
        }
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      groups.set(name, await Promise.all(wires))
      return served
    },
    close(name: string) {
      for (const wire of group(name)) wire.close()
      groups.delete(name)
    },
    /** Sends events until the time is up, then waits for the acks that are missing. */
    events(name: string, { event, window, ms }: EventLoad) {
      return measure(ms, window, group(name).length, (index, count, acked) => {
        const wire = group(name)[index]!
        wire.acked = acked
        if (event === 'read') wire.send(count === 1 ? READ : Buffer.concat(Array.from({ length: count }, () => READ)))
        else for (let i = 0; i < count; i++) wire.send(frame(`421["write","k${index}",${++value}]`))
      })
    },
    /** Each socket writes its own key once, all at the same moment. @returns what each wrote */
    async burst(name: string) {
      const wires = group(name)
      const values = wires.map(() => ++value)
      const acked = wires.map((wire) => new Promise<void>((resolve) => (wire.acked = () => resolve())))
      for (const [index, wire] of wires.entries()) wire.send(frame(`421["write","k${index}",${values[index]}]`))
      await Promise.all(acked)
      return values
    },
    /** One connection for each id, with one request on its way. */
    async requests(port: number, path: string, sids: string[], ms: number) {
      const wires = await Promise.all(sids.map((sid) => HttpWire.connect(port, path, cookieOf(sid))))
      const load = await measure(ms, 1, wires.length, (index, _count, acked) => wires[index]!.send(() => acked(1)))
      for (const wire of wires) wire.close()
      return load
    },
  }
}

/** The system resets connections that a busy server has not accepted for long: then a client tries again after a second. */
async function comeBack(port: number, cookie: string): Promise<Wire> {
  for (;;) {
    try {
      return await Wire.connect(port, cookie)
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 1000))
    }
  }
}

const READ = frame('421["read"]')

type Send = (index: number, count: number, acked: (count: number) => void) => void

function measure(ms: number, window: number, connections: number, send: Send): Promise<Load> {
  const delays: number[] = []
  const start = performance.now()
  const end = start + ms
  let count = 0
  let open = connections * window
  return new Promise((resolve) => {
    for (let index = 0; index < connections; index++) {
      let sent = start
      const acked = (answers: number): void => {
        const now = performance.now()
        count += answers
        if (window === 1) delays.push(now - sent)
        sent = now
        if (now < end) {
          send(index, answers, acked)
          return
        }
        open -= answers
        if (open > 0) return
        delays.sort((a, b) => a - b)
        resolve({ count, ms: now - start, delay: (delays[Math.floor(delays.length / 2)] ?? 0) * 1000 })
      }
      send(index, window, acked)
    }
  })
}

serve(open)
