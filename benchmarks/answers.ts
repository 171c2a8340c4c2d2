import type { Findings } from './part.js'
import type { QuestionName } from './questions.js'

/** By the part's name. */
export type Found = Record<string, { findings?: Findings | undefined }>

/** The contenders, as the tables name them. */
export const PEERS = ['sharedsession', "Socket.IO's recipe", 'express-socket.io-session'] as const

/**
 * The median in a cell of a table; undefined where it was not measured.
 * @param caption how the caption of the table starts
 * @param row the first cells of the row
 */
export function cellOf(results: Found, part: string, caption: string, row: string[], column: number): string | undefined {
  const table = results[part]?.findings?.tables.find((table) => table.caption.startsWith(caption))
  const found = table?.rows.find((cells) => row.every((text, index) => cells[index] === text))
  // '49.0 of 50' and '0.00' are whole numbers.
  return found?.[column]?.split(' ')[0]?.replace(/\.0+$/, '')
}

/** The median of a figure, to three digits; undefined where it was not measured. */
export function figureOf(results: Found, part: string, where: string, measure: string): string | undefined {
  const found = results[part]?.findings?.figures.find((each) => each.where === where && each.measure.startsWith(measure))
  return found && String(Number(found.value.median.toPrecision(3)))
}

/**
 * Sentences for each question, with the figures that matter most to a user. A sentence with a figure that was not measured is left out.
 */
export function answers(results: Found): Record<QuestionName, string[]> {
  const cell = (part: string, caption: string, row: string[], column: number) => cellOf(results, part, caption, row, column)
  const peers = (part: string, caption: string, row: (peer: string) => string[], column: number) =>
    PEERS.map((peer) => cell(part, caption, row(peer), column))
  const others = ([, recipe, esis]: (string | undefined)[]) => `Socket.IO's recipe ${recipe}, express-socket.io-session ${esis}`

  const handshake = (store: string, kind: string) => peers('handshakes', store, (peer) => [kind, peer], 5)
  const [onMemory, onRedis] = [handshake('MemoryStore', 'a session each'), handshake('Redis', 'a session each')]
  const firstRead = handshake('Redis', 'a session each, and a first read')
  const [small, large] = ['1 kB', '1 MB'].map((size) => peers('events-read', 'Redis', (peer) => [size, peer], 5)) as Cells[]
  const alone = peers('events-write', 'Redis, one', (peer) => [peer], 3)
  const [lost, writes] = [1, 2].map((column) => peers('lost', 'Redis', (peer) => [peer], column)) as Cells[]
  const [reading, writing] = ['read', 'write'].map((kind) =>
    ['MemoryStore', 'Redis', 'Postgres', 'any other store'].map((store) =>
      cell('http-overhead', store, ['1 kB', kind, 'with sharedsession'], 6),
    ),
  ) as Cells[]
  const [first, further] = ['a session each', 'each further tab'].map((kind) =>
    peers('heap', 'Redis', (peer) => [kind, peer], 3),
  ) as Cells[]
  const storm = (column: number) => peers('storm', 'Redis', (peer) => [peer], column)
  const bareStorm = (column: number) => cell('storm', 'Redis', ['bare Socket.IO'], column)
  const sockets = results.storm?.findings?.tables.at(-1)?.caption.split(' ').at(-2)
  const mirrored = (row: string) => [1, 2].map((column) => cell('mirror', 'Redis', [row], column))
  const [perChange, perReconnect, perTabs] = [
    'bytes per change, 10 kB',
    'bytes per reconnect without a change, 10 kB',
    'µs of processor per commit, 50 tabs',
  ].map(mirrored) as Cells[]
  const publish = (row: string) => cell('propagation', 'Another node', [row], 1)
  const installed = results.size?.findings?.tables.find(({ caption }) => caption.startsWith('Installed'))?.rows[0]?.[0]

  const commits = ['connect-redis', 'connect-pg-simple', 'connect-session-knex, Postgres', 'express-mysql-session, MariaDB'].map(
    (store) =>
      `On ${store} a commit takes ${cell('drivers', 'A commit', [store], 1)} times as long as the store's own \`get\` and \`set\`.`,
  )

  const found: Record<QuestionName, string[]> = {
    connection: [
      `On MemoryStore a connection with a session of its own takes ${onMemory[0]} times the processor time of one without sessions (${others(onMemory)}).`,
      `On Redis it takes ${onRedis[0]} times (${others(onRedis)}).`,
      `With a first read of the session in \`connection\`, it takes ${firstRead[0]} times (${others(firstRead)}) there.`,
    ],
    event: [
      `On Redis an event that only reads a session of 1 kB takes ${small![0]} times the processor time of an event without sessions (${others(small!)}).`,
      `With 1 MB it takes ${large![0]} times (${others(large!)}).`,
      `An event of a single socket that changes one key takes ${alone[0]} times (${others(alone)}; the last does not wait for its save).`,
    ],
    lost: [
      `When 50 sockets of one session write in the same moment, ${lost![0]} of the 50 writes are lost (${others(lost!)}; Redis).`,
      `The store gets ${writes![0]} writes for them (${others(writes!)}).`,
    ],
    http: [
      `A request that reads a session of 1 kB takes ${reading![0]} times the processor time of express-session alone on MemoryStore, ` +
        `${reading![1]} on Redis, ${reading![2]} on Postgres, and ${reading![3]} on any other store.`,
      `One that writes takes ${writing![0]}, ${writing![1]}, ${writing![2]} and ${writing![3]} times.`,
    ],
    page: [
      `A page that mirrors a session of 10 kB gets ${perChange![0]} bytes for a change of one number (${perChange![1]} if the whole state is sent).`,
      `After a reconnect without a change it gets ${perReconnect![0]} bytes (${perReconnect![1]}).`,
      `With 50 tabs, a commit takes ${perTabs![0]} µs of processor time (${perTabs![1]}).`,
    ],
    memory: [
      `On Redis an idle socket with a session of its own adds ${first![0]} kB to the heap (${others(first!)}).`,
      `A further tab of the same session adds ${further![0]} kB (${others(further!)}).`,
    ],
    restart: [
      `When ${sockets} clients return at once to a process that has just started, on Redis, all are served after ${storm(2)[0]} s (${others(storm(2))}, without sessions ${bareStorm(2)}).`,
      `The heap has ${storm(6)[0]} MB at most (${others(storm(6))}, without sessions ${bareStorm(6)}).`,
    ],
    stores: commits,
    nodes: [
      `A write by HTTP reaches the sockets of another node ${publish("HTTP: the request's save called → session:changed")} µs after its save began, ` +
        'and those of its own process as soon as the store has answered.',
      `\`set()\` and then \`publish()\` by hand take ${publish('by hand: set() called, then publish() → subscriber ran')} µs, ` +
        `and a publish alone ${publish('bare: publish() called → subscriber ran')} µs.`,
    ],
    size: [
      `Installed with what it depends on, the package takes ${installed} kB.`,
      `Its import takes ${cell('size', 'Import', ['sharedsession'], 3)} times the processor time of an import of socket.io.`,
    ],
  }
  for (const name of Object.keys(found) as QuestionName[]) found[name] = found[name].filter((line) => !line.includes('undefined'))
  return found
}

type Cells = (string | undefined)[]
