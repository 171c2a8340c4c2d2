import type { Findings } from './part.js'

type Found = Record<string, { findings?: Findings | undefined }>

/** The figures that matter to a user, as the README quotes them; what was not measured is left out. */
export function summary(results: Found): string[] {
  const cell = (part: string, caption: string, row: string[], column: number): string | undefined => {
    const table = results[part]?.findings?.tables.find((table) => table.caption.startsWith(caption))
    const found = table?.rows.find((cells) => row.every((text, index) => cells[index] === text))
    // Only the median.
    return found?.[column]?.split(' ')[0]
  }
  const figure = (part: string, where: string, measure: string): string | undefined => {
    const found = results[part]?.findings?.figures.find((each) => each.where === where && each.measure.startsWith(measure))
    return found && String(Number(found.value.median.toPrecision(3)))
  }
  const read = (size: string, peer: string) => cell('events-read', 'Redis', [size, peer], 5)
  const write = (peer: string, column: number) => cell('events-write', 'Redis, 50', ['1 kB', peer], column)
  const esis = 'express-socket.io-session'
  const recipe = "Socket.IO's recipe"
  return [
    `- **An event that only reads** costs the server ${read('1 kB', 'sharedsession')} times the processor time of an event without sessions, and ` +
      `${read('1 MB', 'sharedsession')} times with a session of 1 MB: no store call, no work in proportion to the session. With ` +
      `express-socket.io-session it is ${read('1 kB', esis)} and ${read('1 MB', esis)} times, with Socket.IO's recipe ${read('1 kB', recipe)} and ${read('1 MB', recipe)} (Redis).`,
    `- **50 sockets that change one session at once** lose nothing, and are ${figure('events-write', '1 kB, Redis', 'store writes')} store writes per 1,000 ` +
      `events, each acknowledged after its save. The others lose ${write(esis, 7)} of 50, with ${write(esis, 6)} writes (Redis), and get ` +
      `${write(esis, 2)} and ${write(recipe, 2)} events/s where this package gets ${write('sharedsession', 2)}.`,
    `- **A write by HTTP** reaches the session's sockets in the turn in which the store answers, and those on another node ` +
      `${cell('propagation', 'Another node', ["HTTP: the request's save called → session:changed"], 1)} µs after the save began; a bare publish takes ` +
      `${cell('propagation', 'Another node', ['bare: publish() called → subscriber ran'], 1)} µs.`,
  ].filter((line) => !line.includes('undefined'))
}
