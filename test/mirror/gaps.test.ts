import { beforeEach, expect, it } from 'vitest'
import type { Published } from './shop.js'
import { describeOnStores, type Tab } from './world.js'

/** The client never gets the next frame. */
function loseNext({ socket }: Tab): void {
  // `onevent` is no public method: a frame that is lost is no case of the public ones.
  const inner = socket as unknown as { onevent?: (packet: { data: unknown[] }) => void }
  const { onevent } = inner
  inner.onevent = function (packet) {
    if (packet.data[0] !== 'session:mirror') return onevent!.call(this, packet)
    delete this.onevent
  }
}

const keysOf = (tab: Tab): string[] => tab.frames.map((frame) => Object.keys(frame).sort().join(''))

await describeOnStores('after a gap', (world) => {
  let tab: Tab
  let before: Published
  beforeEach(async () => {
    await world().post('/set?user=ada')
    await world().update({ items: ['milk', 'bread'] })
    tab = await world().tab()
    before = tab.live.get()!
  })

  async function gap(meanwhile: () => unknown = () => undefined): Promise<void> {
    tab.socket.disconnect()
    expect(tab.live.status).toBe('stale')
    expect(tab.live.get()).toBe(before)
    await meanwhile()
    tab.socket.connect()
    await tab.shows(() => true)
  }

  it('nothing was missed: no state is sent, nobody is notified, and the state is the same object', async () => {
    await gap()
    expect(keysOf(tab)).toEqual(['nt'])
    expect(tab.states).toEqual([])
    expect(tab.live.get()).toBe(before)
  })

  it('the state went and came back: no state is sent', async () => {
    await gap(async () => {
      await world().update({ n: 1 })
      await world().update({ n: undefined })
    })
    expect(keysOf(tab)).toEqual(['nt'])
    expect(tab.live.get()).toBe(before)
  })

  it('three commits were missed: one delta, one notification', async () => {
    // Another tab keeps the session open on this node, which remembers the last changes.
    await world().tab()
    await world().update({ items: Array.from({ length: 30 }, (_, n) => `item ${n}`) })
    await tab.shows(({ items }) => items.length === 30)
    before = tab.live.get()!
    tab.forget()
    await gap(async () => {
      for (let n = 1; n <= 3; n++) await world().update({ n })
    })
    expect(keysOf(tab)).toEqual(['fnpt'])
    expect(tab.states).toEqual([{ ...before, n: 3 }])
    expect(tab.live.get()!.items).toBe(before.items)
  })

  it('more was missed than a node remembers: the whole state, one notification', async () => {
    await world().tab()
    await gap(async () => {
      for (let n = 1; n <= 12; n++) await world().update({ n, items: [...before.items, `${n}`.repeat(1000)] })
    })
    expect(keysOf(tab)).toEqual(['nst'])
    expect(tab.states).toEqual([{ user: 'ada', items: [...before.items, '12'.repeat(1000)], n: 12 }])
  })

  it('another node, and a restart of all nodes: nothing changed, so no state is sent', async () => {
    const socket = world().browser.open(world().far.url, { transports: ['websocket'], autoConnect: false })
    const frames: object[] = []
    socket.on('session:mirror', (frame) => frames.push(frame))
    socket.auth = { 'session:mirror': [(await firstTag()) ?? 0, 0] }
    socket.connect()
    await expect.poll(() => frames.map((frame) => Object.keys(frame).sort())).toEqual([['n', 't']])
    socket.disconnect()
    tab.forget()
    await gap(() => world().restart())
    expect(keysOf(tab)).toEqual(['nt'])
    expect(tab.states).toEqual([])
    expect(tab.live.get()).toBe(before)
  })

  /** The tag of what `tab` holds. */
  async function firstTag(): Promise<string | undefined> {
    const other = world().open()
    await other.live.ready
    const [frame] = other.frames
    return frame && 't' in frame ? frame.t : undefined
  }

  it('a frame is lost: the client asks once, and holds the right state again', async () => {
    const asked: unknown[] = []
    tab.socket.onAnyOutgoing((event, ...args) => asked.push([event, ...args]))
    loseNext(tab)
    await world().update({ n: 1 })
    await world().update({ items: ['tea'] })
    await tab.shows(({ items, n }) => n === 1 && items[0] === 'tea')
    expect(asked.length).toBeLessThanOrEqual(1)
    await world().update({ n: 2 })
    await tab.shows(({ n }) => n === 2)
    expect(tab.live.get()).toEqual({ user: 'ada', items: ['tea'], n: 2 })
    expect(asked.length).toBeLessThanOrEqual(1)
  })
})

await describeOnStores(
  'with connection state recovery',
  (world) => {
    beforeEach(() => world().post('/set?user=ada'))

    it('a recovered connection holds the right state, whatever it missed', async () => {
      const tab = await world().tab()
      const { socket } = tab
      let recovered = 0
      socket.on('connect', () => {
        if (socket.recovered) recovered++
      })
      for (let n = 1; n <= 3; n++) {
        tab.forget()
        // The transport goes, and the client comes back by itself.
        socket.io.engine.close()
        await world().update({ n })
        await tab.shows((state) => state.n === n)
        expect(tab.live.get()).toEqual({ user: 'ada', items: [], n })
        expect(tab.states).toHaveLength(1)
      }
      expect(recovered).toBeGreaterThan(0)
    })
  },
  { io: { connectionStateRecovery: {} } },
)
