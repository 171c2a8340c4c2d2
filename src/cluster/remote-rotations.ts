import { deferred, settleWithin } from '../util/promises.js'

/** Rotations of other processes whose responses, with the clients' new cookies, have not left yet. By topic. */
export class RemoteRotations {
  readonly #wait: number
  readonly #onOver: (topic: string) => void
  readonly #underWay = new Map<string, { cookieSent(): void; over: Promise<unknown> }>()

  /**
   * @param wait ms that a response is waited for
   * @param onOver is called when it has left, or is not waited for any more
   */
  constructor(wait: number, onOver: (topic: string) => void) {
    this.#wait = wait
    this.#onOver = onOver
  }

  has(topic: string): boolean {
    return this.#underWay.has(topic)
  }

  /** The response has left. */
  noteCookieSent(topic: string): void {
    this.#underWay.get(topic)?.cookieSent()
  }

  /** Settles when the response has left. All messages about one rotation share it. */
  over(topic: string): Promise<unknown> {
    const known = this.#underWay.get(topic)
    if (known) return known.over
    const { promise: response, resolve: cookieSent } = deferred()
    const over = settleWithin(response, this.#wait)
    const rotation = { cookieSent, over }
    this.#underWay.set(topic, rotation)
    over.then(() => {
      if (this.#underWay.get(topic) !== rotation) return
      this.#underWay.delete(topic)
      this.#onOver(topic)
    })
    return over
  }

  /** Their topics are not heard any more: each is over when the wait is. */
  forget(): void {
    this.#underWay.clear()
  }

  close(): void {
    for (const { cookieSent } of this.#underWay.values()) cookieSent()
    this.#underWay.clear()
  }
}
