import { afterEach, describe, expect, it } from 'vitest'
import type { Bus } from '../../../src/index.js'
import { until } from '../../support/wait.js'

/** Two processes on one bus. */
export interface Wires {
  buses: readonly [Bus, Bus]
  /** The second one's connection is lost, until `restore`. */
  cut?(): unknown
  restore?(): unknown
  /** Not where each text takes a connection of its own. @default true */
  keepsOrder?: boolean
  end?(): unknown
}

interface RecordingListener {
  heard: [topic: string, text: string][]
  gaps: number
}

let topics = 0

/**
 * What every bus promises, see `src/bus.ts`.
 * @param options.isCut the wires can be cut, and the bus knows when it was
 */
export function describeBus(name: string, wire: () => Promise<Wires>, { isCut = true } = {}): void {
  describe(`a bus: ${name}`, () => {
    const wires: Wires[] = []
    const opened: Bus[] = []

    afterEach(async () => {
      for (const bus of opened.splice(0)) await bus.close()
      for (const { end } of wires.splice(0)) await end?.()
    })

    function listen(bus: Bus): RecordingListener {
      const listener: RecordingListener = { heard: [], gaps: 0 }
      bus.start({ heard: (topic, text) => listener.heard.push([topic, text]), gap: () => listener.gaps++ })
      opened.push(bus)
      return listener
    }

    async function connected() {
      const wired = await wire()
      wires.push(wired)
      const listeners = wired.buses.map(listen) as [RecordingListener, RecordingListener]
      topics++
      return { ...wired, listeners, topic: `sharedsession:test-${process.pid}-${topics}` }
    }

    it('brings what was published after subscribe() had resolved', async () => {
      const { buses, listeners, topic } = await connected()
      await buses[1].subscribe(topic)
      await buses[0].publish(topic, 'hello')
      await until(() => listeners[1].heard.length > 0)
      expect(listeners[1].heard).toEqual([[topic, 'hello']])
    })

    it('brings nothing of other topics, nor of one that is not wanted any more', async () => {
      const { buses, listeners, topic } = await connected()
      await buses[1].subscribe(topic)
      await buses[1].subscribe(`${topic}-last`)
      buses[1].unsubscribe(topic)
      await buses[0].publish(topic, 'unwanted')
      await buses[0].publish(`${topic}-other`, 'unwanted')
      await buses[0].publish(`${topic}-last`, 'wanted')
      await until(() => listeners[1].heard.length > 0)
      expect(listeners[1].heard).toEqual([[`${topic}-last`, 'wanted']])
    })

    it('listens again to a topic that was given up', async () => {
      const { buses, listeners, topic } = await connected()
      await buses[1].subscribe(topic)
      buses[1].unsubscribe(topic)
      await buses[1].subscribe(topic)
      await buses[0].publish(topic, 'again')
      await until(() => listeners[1].heard.length > 0)
      expect(listeners[1].heard).toEqual([[topic, 'again']])
    })

    it('leaves texts as they are, and one publisher’s in order', async () => {
      const { buses, listeners, topic, keepsOrder = true } = await connected()
      await buses[1].subscribe(topic)
      const longest = Math.min(buses[0].maxBytes ?? 1024 * 1024, 1024 * 1024)
      const texts = ['', '"\\\'$1\n\u0001', 'ü€😀', 'x'.repeat(longest), ...Array.from({ length: 50 }, (_, n) => `${n}`)]
      for (const text of texts) await buses[0].publish(topic, text)
      await until(() => listeners[1].heard.length >= texts.length)
      const heard = listeners[1].heard.map(([, text]) => text)
      if (keepsOrder) expect(heard).toEqual(texts)
      else expect(heard.toSorted()).toEqual(texts.toSorted())
    })

    it('closes twice, and is silent then', async () => {
      const { buses, listeners, topic } = await connected()
      await buses[0].subscribe(topic)
      await buses[1].subscribe(topic)
      await buses[1].close()
      await buses[1].close()
      buses[1].unsubscribe(topic)
      await buses[0].publish(topic, 'late')
      expect(listeners[1].heard).toEqual([])
    })

    if (!isCut) return

    it('says that there was a gap, and hears what is published after that', async () => {
      const { buses, listeners, topic, cut, restore } = await connected()
      await buses[1].subscribe(topic)
      await cut?.()
      // It may be refused, and it may be lost.
      await Promise.resolve(buses[0].publish(topic, 'lost')).catch(() => undefined)
      await restore?.()
      await until(() => listeners[1].gaps > 0)
      const before = listeners[1].heard.length
      await until(async () => {
        await Promise.resolve(buses[0].publish(topic, 'found')).catch(() => undefined)
        return listeners[1].heard.length > before
      })
      expect(listeners[1].gaps).toBe(1)
    })

    it('neither throws nor leaves a rejection behind where it is cut off', async () => {
      const { buses, listeners, topic, cut, restore } = await connected()
      await cut?.()
      const subscribed = Promise.resolve(buses[1].subscribe(topic)).catch(() => undefined)
      buses[1].unsubscribe(`${topic}-never`)
      buses[1].unsubscribe(topic)
      const again = Promise.resolve(buses[1].subscribe(topic)).catch(() => undefined)
      await restore?.()
      await until(async () => {
        await Promise.resolve(buses[0].publish(topic, 'hello')).catch(() => undefined)
        return listeners[1].heard.length > 0
      })
      await again
      void subscribed
    })
  })
}
