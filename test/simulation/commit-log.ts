import { historyOf } from '../../src/store/commit-history.js'
import { CompareAndSetStrategy } from '../../src/store/compare-and-set-strategy.js'
import { ConditionalWrite, type Outcome } from '../../src/store/conditional-write.js'
import { ContractDriver } from '../../src/store/drivers/contract-driver.js'
import type { Transaction } from '../../src/store/transaction.js'
import { getOrInsert } from '../../src/util/maps.js'
import type { World } from './world.js'

/** What happened to the commits of one session. The texts name what the store holds. */
export type CommitRecord =
  /** A process has got to know what the store holds, or held: by an answer, or by a message that names the commit. */
  | { is: 'learned'; process: string; text: string }
  | { is: 'heard'; process: string; id: string }
  /** @property commit which call of `commit()` it is a part of */
  | { is: 'sent'; call: number; process: string; transaction: number; commit: number; id: string; expected: string | undefined }
  /** The server has done it. */
  | { is: 'done'; call: number; written: boolean; text: string }
  | { is: 'answered'; call: number; answer: 'done' | 'refused' | 'lost'; doubled: boolean; step: number }
  /** What the sources have made of the answers. */
  | { is: 'settled'; id: string; outcome: Outcome['is'] | 'failed'; step: number }
  | { is: 'removed' }

/** What happens to all commits to a store that compares, to be looked at by the model in protocol/commit.pml. */
export class CommitLog {
  readonly sessions = new Map<string, CommitRecord[]>()
  readonly #world: World
  readonly #transactions = new Map<Transaction, number>()
  /** By driver and session: what is being committed. One commit of a session is under way in a process. */
  readonly #underWay = new Map<object, Map<string, { transaction: number; commit: number }>>()
  /** What calls the simulated driver in this moment. */
  driver: object | undefined
  /** The session of each commit. */
  readonly #sids = new Map<string, string>()
  #calls = 0
  #commits = 0

  constructor(world: World) {
    this.#world = world
  }

  /** `commit()` was called. */
  begins(driver: object, sid: string, transaction: Transaction): void {
    const number = this.#transactions.get(transaction) ?? this.#transactions.size
    this.#transactions.set(transaction, number)
    const ofDriver = getOrInsert(this.#underWay, driver, () => new Map())
    ofDriver.set(sid, { transaction: number, commit: ++this.#commits })
  }

  settled(id: string, outcome: Outcome['is'] | 'failed'): void {
    const sid = this.#sids.get(id)
    if (sid !== undefined) this.#note(sid, { is: 'settled', id, outcome, step: this.#world.steps })
  }

  learned(process: string, sid: string, text: string | undefined): void {
    if (text !== undefined) this.#note(sid, { is: 'learned', process, text })
  }

  heard(process: string, message: string): void {
    const id = (JSON.parse(message) as { to?: { id: string } }).to?.id
    const sid = id !== undefined && this.#sids.get(id)
    if (sid) this.#note(sid, { is: 'heard', process, id })
  }

  /** @returns the number of the call; 0 for one that is no commit */
  sent(process: string, sid: string, expected: string | undefined, text: string): number {
    const id = commitIn(text)
    const underWay = this.driver && this.#underWay.get(this.driver)?.get(sid)
    if (id === undefined || !underWay) return 0
    const call = ++this.#calls
    this.#sids.set(id, sid)
    this.#note(sid, { is: 'sent', call, process, ...underWay, id, expected })
    return call
  }

  done(call: number, sid: string, written: boolean, text: string): void {
    if (call === 0) return
    this.#note(sid, { is: 'done', call, written, text })
  }

  answered(call: number, sid: string, answer: 'done' | 'refused' | 'lost', doubled: boolean): void {
    if (call === 0) return
    this.#note(sid, { is: 'answered', call, answer, doubled, step: this.#world.steps })
  }

  removed(sid: string): void {
    this.#note(sid, { is: 'removed' })
  }

  #note(sid: string, record: CommitRecord): void {
    const records = this.sessions.get(sid)
    if (records) records.push(record)
    else this.sessions.set(sid, [record])
  }
}

/** The log of the simulation that runs, where one is wanted. */
export const commitLog: { current: CommitLog | undefined } = { current: undefined }

/** The last commit of a stored session. */
export function commitIn(text: string): string | undefined {
  return historyOf(JSON.parse(text).cookie)?.ids.at(-1)
}

/** Has the sources tell what they commit, and what they take the answers for. They run in the same order as without it. */
export function observeCommits(): void {
  const { commit } = CompareAndSetStrategy.prototype
  CompareAndSetStrategy.prototype.commit = function (sid, transaction) {
    commitLog.current?.begins(this.driver, sid, transaction)
    return commit.call(this, sid, transaction)
  }
  const { write } = ContractDriver.prototype
  ContractDriver.prototype.write = function (...args) {
    if (commitLog.current) commitLog.current.driver = this
    return write.apply(this, args)
  }
  const { settle } = ConditionalWrite.prototype
  ConditionalWrite.prototype.settle = function (ms, mayRepeat) {
    const id = this.next.snapshot.history?.ids.at(-1) as string
    const log = commitLog.current
    const settled = settle.call(this, ms, mayRepeat)
    settled.then(
      (outcome) => log?.settled(id, outcome.is),
      () => log?.settled(id, 'failed'),
    )
    return settled
  }
}
