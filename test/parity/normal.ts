/** Minutes. */
const YEAR = 365 * 24 * 60

/** A Set-Cookie line, without the value. */
export interface SetCookie {
  name: string
  signed: boolean
  /** In the order of their names. */
  attributes: string[]
}

/** Ends are told in minutes from now: a run takes its time. */
export function toSetCookie(line: string): SetCookie {
  const [pair = '', ...attributes] = line.split('; ')
  const [name = '', value = ''] = pair.split('=')
  return {
    name,
    signed: decodeURIComponent(value).startsWith('s:'),
    attributes: attributes.map((each) => each.replace(/^Expires=(.*)/, (_, date) => `Expires ${fromNow(date)}`)).toSorted(),
  }
}

/** The same for the same thing in each run: random ids are counted, moments are told from now. */
export function normalise(value: unknown, seen: Map<string, string>): unknown {
  if (value === undefined) return undefined
  const text = JSON.stringify(value)
    .replace(/(?<![\w-])[\w-]{32}(?![\w-])/g, (id) => seen.get(id) ?? named(id, seen))
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, fromNow)
    // Assigning `maxAge` reads the clock twice, so that this may be a millisecond less; of a fixed end, it is less with each moment.
    .replace(/"originalMaxAge":(\d+)/g, (_, ms) => `"originalMaxAge":${rounded(Number(ms))}`)
  return JSON.parse(text)
}

function named(id: string, seen: Map<string, string>): string {
  seen.set(id, `id ${seen.size + 1}`)
  return seen.get(id) as string
}

function rounded(ms: number): number {
  const unit = ms > 60_000 ? 60_000 : 1000
  return Math.round(ms / unit) * unit
}

/** A date that the application chose stays the same: told from now, it would be another one in each minute. */
function fromNow(date: string): string {
  const minutes = Math.round((new Date(date).getTime() - Date.now()) / 60_000)
  return Math.abs(minutes) > YEAR ? date : `in ${minutes} min`
}
