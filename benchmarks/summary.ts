import type { Findings } from './part.js'

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

/** The figures that matter most to a user; what was not measured is left out. */
export function summary(results: Found): string[] {
  const read = (size: string) => PEERS.map((peer) => cellOf(results, 'events-read', 'Redis', [size, peer], 5))
  const write = (column: number) => PEERS.map((peer) => cellOf(results, 'events-write', 'Redis, 50', ['1 kB', peer], column))
  const publish = (row: string) => cellOf(results, 'propagation', 'Another node', [row], 1)
  const [small, large, rates, writes, lost] = [read('1 kB'), read('1 MB'), write(2), write(6), write(7)]
  return [
    `- **An event that only reads** a session of 1 kB takes ${small[0]} times the processor time of an event without sessions, and a session of ` +
      `1 MB ${large[0]} times. It makes no store call. Socket.IO's recipe takes ${small[1]} and ${large[1]} times, express-socket.io-session ` +
      `${small[2]} and ${large[2]} times (Redis).`,
    `- **50 sockets that write to one session at once** lose ${lost[0]} of 50 writes, at ${rates[0]} events/s and ${writes[0]} store writes per 1,000 ` +
      `events; each ack waits for its save. Socket.IO's recipe loses ${lost[1]} at ${rates[1]} events/s, express-socket.io-session ${lost[2]} at ` +
      `${rates[2]} events/s, each with ${writes[1]} store writes (Redis).`,
    '- **A write by HTTP** reaches the sockets of its process as soon as the store has answered, and those of another node ' +
      `${publish("HTTP: the request's save called → session:changed")} µs after the save began. A bare publish takes ` +
      `${publish('bare: publish() called → subscriber ran')} µs.`,
  ].filter((line) => !line.includes('undefined'))
}
