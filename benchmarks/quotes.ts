import { answers, cellOf, type Found, figureOf, PEERS } from './answers.js'
import { type QuestionName, questions } from './questions.js'

const BLOCK = /(<!-- figures: (\w+) [^>]*-->\n)[\s\S]*?(<!-- \/figures -->)/g

/**
 * A page with the figures of these results. It has them in two ways:
 * - between `<!-- figures: name ... -->` and `<!-- /figures -->`
 * - in rows of a table with a first cell of {@link rows}
 */
export function quote(page: string, results: Found): string {
  const found = blocks(results)
  const withBlocks = page.replace(BLOCK, (whole, begin: string, name: string, end: string) => {
    const lines = found[name]
    if (!lines) throw new Error(`There are no figures named ${name}`)
    return lines.length > 0 ? `${begin}\n${lines.join('\n')}\n\n${end}` : whole
  })
  return rows(results).reduce((text, row) => {
    const start = `| ${row[0]} |`
    return text.replace(/^\|.*$/gm, (line) => (line.startsWith(start) ? lineOf(row) : line))
  }, withBlocks)
}

/** Rows of README.md, whose table also has rows without figures. */
export function rows(results: Found): string[][] {
  return measured([
    [
      '50 sockets write at once, each to its own key: writes lost',
      ...PEERS.map((peer) => cellOf(results, 'lost', 'Redis', [peer], 1)),
    ],
    [
      'Processor time of a read, 1 kB / 1 MB (plain Socket.IO: 1×)',
      ...PEERS.map((peer) => {
        const [small, large] = ['1 kB', '1 MB'].map((size) => cellOf(results, 'events-read', 'Redis', [size, peer], 5))
        return small && large && `${small}× / ${large}×`
      }),
    ],
    [
      'Processor time of a connection (plain Socket.IO: 1×)',
      ...PEERS.map((peer) => times(cellOf(results, 'handshakes', 'Redis', ['a session each', peer], 5))),
    ],
  ])
}

/** Each question with its answer. */
function inShort(results: Found): string[] {
  const found = Object.entries(answers(results)) as [QuestionName, string[]][]
  return found.filter(([, lines]) => lines.length > 0).map(([name, lines]) => `- **${questions[name].title}** ${lines.join(' ')}`)
}

function blocks(results: Found): Record<string, string[]> {
  const peers = (part: string, caption: string, row: (peer: string) => string[], column: number) =>
    PEERS.map((peer) => cellOf(results, part, caption, row(peer), column))
  const large = (column: number) => cellOf(results, 'large', 'Redis', ['1 MB'], column)
  const request = (caption: string, kind: string) =>
    cellOf(results, 'http-overhead', caption, ['1 kB', kind, 'with sharedsession'], 6)
  const publish = (row: string, column: number) => cellOf(results, 'propagation', 'Another node', [row], column)
  const micros = (row: string) => {
    const [time, ratio] = [publish(row, 1), publish(row, 2)]
    return [time && `${time} µs`, ratio && `${ratio}×`]
  }
  return {
    summary: inShort(results),
    peers: table(
      ['', ...PEERS],
      [
        [
          'an event that only reads, 1 kB: processor time',
          ...peers('events-read', 'Redis', (peer) => ['1 kB', peer], 5).map(times),
        ],
        ['the same, 1 MB', ...peers('events-read', 'Redis', (peer) => ['1 MB', peer], 5).map(times)],
        [
          '50 sockets write to one session, 1 kB: processor time of an event',
          ...peers('events-write', 'Redis, 50', (peer) => ['1 kB', peer], 5).map(times),
        ],
        ['the same: store writes per 1,000 events', ...peers('events-write', 'Redis, 50', (peer) => ['1 kB', peer], 6)],
        ['50 sockets write in one moment: lost of 50 writes', ...peers('lost', 'Redis', (peer) => [peer], 1)],
        [
          'one socket writes, one event at a time: processor time',
          ...peers('events-write', 'Redis, one', (peer) => [peer], 3).map(times),
        ],
        ['the same: the ack waits for the save', ...peers('events-write', 'Redis, one', (peer) => [peer], 4)],
        ["a write of one key to 1 MB: processor time, in calls of the store's own `set`", large(4), large(8), large(6)],
        ['a handshake: processor time', ...peers('handshakes', 'Redis', (peer) => ['a session each', peer], 5).map(times)],
        [
          'a handshake and the first read in `connection`',
          ...peers('handshakes', 'Redis', (peer) => ['a session each, and a first read', peer], 5).map(times),
        ],
        [
          'a handshake and a first write, until it is saved',
          ...peers('handshakes', 'Redis', (peer) => ['a session each, and a first write', peer], 5).map(times),
        ],
        [
          'a handshake, ten tabs of each session',
          ...peers('handshakes', 'Redis', (peer) => ['10 tabs of each session', peer], 5).map(times),
        ],
        [
          'store reads when ten tabs of one session connect',
          ...peers('handshakes', 'Redis', (peer) => ['10 tabs of each session', peer], 6),
        ],
        ['memory of an idle socket, a session each: kB', ...peers('heap', 'Redis', (peer) => ['a session each', peer], 3)],
        ['memory of each further tab of a session: kB', ...peers('heap', 'Redis', (peer) => ['each further tab', peer], 3)],
        [
          '10,000 clients return after a restart: s until all are served',
          ...peers('storm', 'Redis, 10,000', (peer) => [peer], 2),
        ],
        ['the same: peak of the heap, MB', ...peers('storm', 'Redis, 10,000', (peer) => [peer], 6)],
      ],
    ),
    http: table(
      ['', 'a request that reads', 'a request that writes'],
      ['MemoryStore', 'Redis', 'Postgres', 'any other store'].map((store) => [
        store,
        ...['read', 'write'].map((kind) => times(request(store, kind))),
      ]),
    ),
    nodes: table(
      ['', 'time', 'against a bare publish'],
      [
        ['a bare publish of a payload of the same length', ...micros('bare: publish() called → subscriber ran')],
        ['`set()` and then `publish()` by hand', ...micros('by hand: set() called, then publish() → subscriber ran')],
        [
          'an HTTP request: from its save to `session:changed` on the other node',
          ...micros("HTTP: the request's save called → session:changed"),
        ],
        ['`update()`: from the call (recipe, write, merge, message)', ...micros('update() called → session:changed')],
        [
          '`update()`: from its return, because the message leaves with the write',
          ...micros('update() returned → session:changed'),
        ],
      ],
    ),
    postgres: measured([[figureOf(results, 'postgres-bus', '1 kB, Postgres', 'commits/s')]]).map(
      ([ratio]) => `On Postgres, commits per second with \`NOTIFY\` in the write are ${ratio} of those without.`,
    ),
  }
}

const times = (ratio: string | undefined): string | undefined => ratio && `${ratio}×`

const lineOf = (cells: string[]): string => `| ${cells.join(' | ')} |`

/** Rows of which every cell was measured. */
const measured = (rows: (string | undefined)[][]): string[][] =>
  rows.filter((row): row is string[] => row.every((cell) => cell !== undefined))

function table(head: string[], rows: (string | undefined)[][]): string[] {
  const found = measured(rows)
  return found.length > 0 ? [head, head.map(() => '---'), ...found].map(lineOf) : []
}
