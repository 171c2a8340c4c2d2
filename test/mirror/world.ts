import { RedisStore } from 'connect-redis'
import expressSession, { type Store } from 'express-session'
import type { Socket } from 'socket.io-client'
import { afterEach, beforeEach, describe } from 'vitest'
import { type Mirror, mirror } from '../../src/client/index.js'
import type { MirrorFrame } from '../../src/client/protocol.js'
import type { Browser } from '../support/app.js'
import { CookieBrowser, closePages } from '../support/browser.js'
import { startRedis } from '../support/redis.js'
import { nodeRedis } from '../support/redis-clients.js'
import { withService } from '../support/service.js'
import { sidOf } from '../support/sid.js'
import { until } from '../support/wait.js'
import { type Published, type Shop, type ShopOptions, startShop } from './shop.js'

export interface Tab {
  socket: Socket
  live: Mirror<Published>
  /** The frames that came, and the states that the page was told of, since the last `forget()`. */
  frames: MirrorFrame[]
  states: (Published | undefined)[]
  forget(): void
  /** Resolves when the page holds such a state. */
  shows(fits: (state: Published) => boolean): Promise<unknown>
}

/** A browser, and the nodes that it can use. */
export class World {
  /** Two nodes, or one that has both names. */
  near!: Shop
  far!: Shop
  readonly browser = new CookieBrowser()
  readonly #makeStore: () => Promise<Store>
  readonly #options: Partial<ShopOptions>
  readonly #count: number
  readonly #tabs: Tab[] = []

  constructor(makeStore: () => Promise<Store>, count: number, options: Partial<ShopOptions>) {
    this.#makeStore = makeStore
    this.#count = count
    this.#options = options
  }

  async start(ports: number[] = []): Promise<void> {
    const shops: Shop[] = []
    for (let n = 0; n < this.#count; n++) {
      shops.push(await startShop({ ...this.#options, store: await this.#makeStore(), port: ports[n] ?? 0 }))
    }
    this.near = shops[0]!
    this.far = shops.at(-1)!
  }

  /** All nodes stop, and start again where they were. The store keeps its sessions. */
  async restart(): Promise<void> {
    const ports = [...new Set([this.near.port, this.far.port])]
    await this.close()
    await this.start(ports)
  }

  async close(): Promise<void> {
    await Promise.all([...new Set([this.near, this.far])].map((shop) => shop.close()))
  }

  closeTabs(): void {
    for (const { live } of this.#tabs) live.close()
  }

  get sid(): string {
    return sidOf(this.browser as { cookie: string | undefined } as Browser)
  }

  /** Sends a POST with the browser's cookie. */
  async post(path: string, shop = this.near): Promise<void> {
    await this.browser.fetch(`${shop.url}${path}`, { method: 'POST' })
  }

  /** A change that no tab of this browser makes, in one commit. */
  update(change: object, shop = this.near): Promise<unknown> {
    return shop.shared.update(this.sid, (draft) => void Object.assign(draft, change))
  }

  /** A tab with the first state. */
  async tab(shop = this.near, options: object = {}): Promise<Tab> {
    const tab = this.open(shop, options)
    await tab.live.ready
    tab.forget()
    return tab
  }

  open(shop = this.near, options: object = {}): Tab {
    const socket = this.browser.open(shop.url, { transports: ['websocket'], ...options, autoConnect: false })
    const frames: MirrorFrame[] = []
    const states: Tab['states'] = []
    socket.on('session:mirror', (frame) => frames.push(frame))
    const live = mirror<Published>(socket)
    live.listen((state) => states.push(state))
    const tab: Tab = {
      ...{ socket, live, frames, states },
      forget() {
        frames.length = 0
        states.length = 0
      },
      shows: (fits) =>
        until(() => {
          const state = live.get()
          return state && live.status === 'live' && fits(state)
        }),
    }
    this.#tabs.push(tab)
    socket.connect()
    return tab
  }
}

/** Runs a suite on a MemoryStore, and on Redis with two nodes. It is given the world of the test. */
export async function describeOnStores(name: string, suite: (world: () => World) => void, options: Partial<ShopOptions> = {}) {
  describe(`${name}, on a MemoryStore`, () => {
    let store: Store
    withWorld(() => {
      store = new expressSession.MemoryStore()
      return new World(async () => store, 1, options)
    }, suite)
  })
  await withService('Redis', startRedis, (redis) => {
    const clients: { end(): unknown }[] = []
    const makeStore = async (): Promise<Store> => {
      const opened = await nodeRedis(redis().port)
      clients.push(opened)
      return new RedisStore({ client: opened.client })
    }
    describe(`${name}, on Redis with two nodes`, () => {
      afterEach(async () => {
        for (const client of clients.splice(0)) await client.end()
      })
      withWorld(() => new World(makeStore, 2, options), suite)
    })
  })
}

function withWorld(create: () => World, suite: (world: () => World) => void): void {
  let world: World
  beforeEach(async () => {
    world = create()
    await world.start()
  })
  afterEach(async () => {
    world.closeTabs()
    closePages()
    await world.close()
  })
  suite(() => world)
}
