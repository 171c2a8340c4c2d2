// How long a write takes from one process to a listener in another, against a bare publish and subscribe of the same payload.
// npm run bench:propagation [-- --quick]. Starts a Redis of its own, or takes the one at REDIS_URL.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { RedisStore } from 'connect-redis'
import express from 'express'
import expressSession from 'express-session'
import { createClient } from 'redis'
import { Server } from 'socket.io'
import { io as connect } from 'socket.io-client'
import sharedsession from '../src/index.js'
import { startRedis } from '../test/support/redis.js'

const quick = process.argv.includes('--quick')
const ROUNDS = quick ? 5 : 30
const TIMES = quick ? 40 : 200
const CHANNEL = 'bare'

// One clock for all processes of a machine.
const now = (): number => Number(process.hrtime.bigint()) / 1000

async function open(url: string) {
  const client = createClient({ url })
  client.on('error', () => undefined)
  await client.connect()
  const session = expressSession({
    secret: 'secret',
    store: new RedisStore({ client }),
    resave: false,
    saveUninitialized: false,
  })
  return { client, session, shared: sharedsession(session, { autoSave: true, revalidate: false }) }
}

/** Has the socket, and tells when it heard. */
async function listener(url: string): Promise<void> {
  const { client, session, shared } = await open(url)
  const app = express()
  app.use(session)
  app.get('/', (req, res) => {
    Object.assign(req.session, { n: -1, profile: 'x'.repeat(1000) })
    res.json({ sid: req.sessionID })
  })
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const io = new Server(server)
  io.use(shared)
  io.on('connection', (socket) => {
    socket.on('session:changed', ({ session }) => {
      const { n } = session as unknown as { n: number }
      process.send?.({ n, at: now() })
    })
  })
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const response = await fetch(address)
  const cookie = response.headers.getSetCookie()[0]!.split(';')[0]!
  const { sid } = (await response.json()) as { sid: string }
  await once(connect(address, { extraHeaders: { cookie }, transports: ['websocket'] }) as never, 'connect')
  const subscriber = await client.duplicate().connect()
  await subscriber.subscribe(CHANNEL, (text) => {
    const at = now()
    // The message is JSON there too, as every message of use is.
    const { n } = JSON.parse(text)
    process.send?.({ n, at })
  })
  while (shared.stats().reads === 0) await new Promise((resolve) => setImmediate(resolve))
  process.send?.({ sid })
  process.on('disconnect', () => process.exit())
}

async function measure(): Promise<void> {
  const redis = process.env.REDIS_URL ? undefined : await startRedis()
  const url = process.env.REDIS_URL ?? redis!.url
  const child = fork(fileURLToPath(import.meta.url), ['listen', url], { execArgv: ['--import', 'tsx'] })
  const [{ sid }] = (await once(child, 'message')) as [{ sid: string }]
  const { client, shared } = await open(url)
  const heard = new Map<number, (at: number) => void>()
  child.on('message', ({ n, at }: { n: number; at: number }) => heard.get(n)?.(at))
  let n = 0
  const next = (): Promise<number> => new Promise((resolve) => heard.set(++n, resolve))

  // What a message of this change is, byte for byte in length.
  let payload = ''
  const spy = await client.duplicate().connect()
  await spy.pSubscribe('sharedsession:*', (text) => {
    payload = text
  })
  const change = async (): Promise<{ called: number; returned: number }> => {
    const at = next()
    const start = now()
    await shared.update(sid, (draft: any) => {
      draft.n = n
    })
    const end = now()
    const then = await at
    return { called: then - start, returned: then - end }
  }
  const bare = async (): Promise<{ called: number }> => {
    const at = next()
    const text = JSON.stringify({ n, pad: '' })
    const padded = JSON.stringify({ n, pad: 'x'.repeat(Math.max(0, payload.length - text.length)) })
    const start = now()
    await client.publish(CHANNEL, padded)
    return { called: (await at) - start }
  }
  for (let time = 0; time < 50; time++) await change()
  await spy.close()
  for (let time = 0; time < 50; time++) await bare()
  const rows = []
  for (let round = 0; round < ROUNDS; round++) {
    const order = round % 2 ? ['ours', 'bare'] : ['bare', 'ours']
    const row = { bare: 0, returned: 0, called: 0 }
    for (const which of order) {
      const [called, returned]: [number[], number[]] = [[], []]
      for (let time = 0; time < TIMES; time++) {
        const delays = which === 'ours' ? await change() : { ...(await bare()), returned: 0 }
        called.push(delays.called)
        returned.push(delays.returned)
      }
      if (which === 'bare') row.bare = median(called)
      else Object.assign(row, { called: median(called), returned: median(returned) })
    }
    rows.push(row)
  }
  const show = (name: string, values: number[], unit: string): void => {
    const sorted = values.toSorted((a, b) => a - b)
    const at = (share: number): string => sorted[Math.floor((sorted.length - 1) * share)]!.toFixed(2)
    console.log(`${name.padEnd(64)} ${at(0.5).padStart(9)} ${unit}   (${at(0.1)} to ${at(0.9)})`)
  }
  console.log(
    `two processes, one Redis, a payload of ${payload.length} bytes; medians of ${ROUNDS} rounds of ${TIMES}, with the middle 80 %`,
  )
  show(
    'bare: publish() called -> subscriber ran',
    rows.map(({ bare }) => bare),
    'µs',
  )
  show(
    'update() returned -> session:changed ran on the other node',
    rows.map(({ returned }) => returned),
    'µs',
  )
  show(
    'update() called -> session:changed ran on the other node',
    rows.map(({ called }) => called),
    'µs',
  )
  show(
    'ratio, from returned',
    rows.map(({ returned, bare }) => returned / bare),
    'x ',
  )
  show(
    'ratio, from called',
    rows.map(({ called, bare }) => called / bare),
    'x ',
  )
  child.kill()
  await redis?.stop()
  process.exit()
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}

if (process.argv[2] === 'listen') await listener(process.argv[3]!)
else await measure()
