const REMEMBERED = 10_000

/**
 * When each session was last committed in this process: what was read before that is older than what is known. Sessions are
 * remembered whether they are live or not, because a handshake's read may be answered after a commit that nobody live has heard.
 */
export class CommitClock {
  readonly #commits = new Map<string, number>()
  #now = 0
  /** Those that are not remembered were committed no later than this. */
  #forgotten = 0

  /** A moment, to compare later commits with. */
  get now(): number {
    return this.#now
  }

  committed(sid: string): void {
    this.#now++
    this.#commits.delete(sid)
    this.#commits.set(sid, this.#now)
    if (this.#commits.size <= REMEMBERED) return
    const [oldest, at] = this.#commits.entries().next().value as [string, number]
    this.#commits.delete(oldest)
    this.#forgotten = at
  }

  /** Was the session committed after that moment? */
  since(sid: string, moment: number): boolean {
    return (this.#commits.get(sid) ?? this.#forgotten) > moment
  }
}
