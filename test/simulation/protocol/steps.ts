import { type CommitRecord, commitIn } from '../commit-log.js'

/** The kinds of steps, numbered as in trace.h. */
const KINDS = ['', 'PROPOSES', 'ANSWERED', 'TWICE', 'LOST', 'WRITTEN', 'REFUSED', 'UNKNOWN', 'ARRIVES', 'LEARNS'] as const

/** A step of the model in commit.pml. */
export interface Step {
  kind: (typeof KINDS)[number]
  /** A writer: the transaction of a request or an update, or that of a live session, which commits again and again. */
  who: number
  process: number
  id: number
  /** The write: all that is proposed until it is acknowledged, or given up. */
  number: number
  /** A version of the session in the store. */
  base: number
  copy: number
  written: boolean
}

/** No version of the session. */
const NONE = 255
/** The limits of the model along a trace. What comes after them is not looked at: the beginning of a trace is a trace. */
const MOST = { version: 250, who: 120, number: 250, copy: 63, steps: 4000 }

/** Numbers things in the order in which they come. */
class Numbers<T> {
  readonly #numbers = new Map<T, number>()

  of(thing: T): number {
    const number = this.#numbers.get(thing) ?? this.#numbers.size
    this.#numbers.set(thing, number)
    return number
  }
}

interface Call {
  sent: CommitRecord & { is: 'sent' }
  /** The client has taken the answer for one. */
  isAnswered: boolean
  doubled: boolean
}

/**
 * What happened to the commits of one session, as steps of the model: from its first version in the store until it leaves the store, or until
 * the model's numbers are used up. What the server has refused without doing anything is no step.
 */
export function stepsOf(records: readonly CommitRecord[]): Step[] {
  const first = records.findIndex((record) => record.is === 'done' && record.written)
  const end = records.findIndex((record) => record.is === 'removed')
  if (first < 0) return []
  const known = records.slice(0, end < 0 ? records.length : end)
  return new Mapping(known, first).steps()
}

class Mapping {
  readonly #records: readonly CommitRecord[]
  readonly #first: number
  readonly #calls = new Map<number, Call>()
  readonly #versions: string[] = []
  readonly #commits: (string | undefined)[] = []
  readonly #ids = new Numbers<string>()
  readonly #processes = new Numbers<string>()
  readonly #writers = new Numbers<number>()
  readonly #firsts = new Set<string>()
  readonly #copies = new Map<number, number>()
  /** By writer: what it proposes, and the call of `commit()` in which the last proposal was refused. */
  readonly #proposals = new Map<number, { id: string; number: number; commit: number; isRefused: boolean }>()
  readonly #steps: Step[] = []
  #numbers = 0

  constructor(records: readonly CommitRecord[], first: number) {
    this.#records = records
    this.#first = first
    for (const [index, record] of records.entries()) {
      if (record.is === 'sent') this.#calls.set(record.call, { sent: record, isAnswered: false, doubled: false })
      else if (record.is === 'answered' && record.answer === 'done') this.#noteAnswer(record, index)
    }
  }

  /** An answer that came in time is followed by what was made of it, in the same step. */
  #noteAnswer({ call: number, step, doubled }: CommitRecord & { is: 'answered' }, index: number): void {
    const call = this.#calls.get(number) as Call
    call.doubled = doubled
    call.isAnswered = this.#records
      .slice(index)
      .some((each) => each.is === 'settled' && each.step === step && each.id === call.sent.id && each.outcome !== 'failed')
  }

  steps(): Step[] {
    for (const [index, record] of this.#records.entries()) {
      this.#add(record, index)
      const last = this.#steps.at(-1)
      const isTooMuch =
        this.#versions.length > MOST.version ||
        this.#numbers > MOST.number ||
        (last && (last.who > MOST.who || last.copy > MOST.copy)) ||
        this.#steps.length > MOST.steps
      if (!isTooMuch) continue
      this.#steps.pop()
      break
    }
    return this.#steps
  }

  #add(record: CommitRecord, index: number): void {
    if (record.is === 'sent') this.#sent(record)
    else if (record.is === 'done') this.#done(record, index)
    else if (record.is === 'settled') this.#settled(record)
    else if (record.is === 'learned' || record.is === 'heard') {
      const base = this.#versionOf(record)
      if (base !== NONE) this.#push({ kind: 'LEARNS', process: this.#processes.of(record.process), base })
    }
  }

  #sent(sent: CommitRecord & { is: 'sent' }): void {
    if (this.#isFirst(sent)) return
    const call = this.#calls.get(sent.call) as Call
    const who = this.#writers.of(sent.transaction)
    const before = this.#proposals.get(who)
    if (before?.id !== sent.id) {
      const number = before?.isRefused && before.commit === sent.commit ? before.number : ++this.#numbers
      this.#proposals.set(who, { id: sent.id, number, commit: sent.commit, isRefused: false })
      const base = sent.expected === undefined ? NONE : this.#versionOf({ is: 'learned', process: '', text: sent.expected })
      this.#push({ kind: 'PROPOSES', who, process: this.#processes.of(sent.process), id: this.#ids.of(sent.id), number, base })
    } else before.commit = sent.commit
    if (call.isAnswered) return
    this.#copies.set(sent.call, this.#copies.size)
    this.#push({ kind: 'LOST', who, id: this.#ids.of(sent.id), copy: this.#copies.get(sent.call) as number })
  }

  /** A first write of the session, which expects that there is none: it comes before the trace. */
  #isFirst({ id, expected }: CommitRecord & { is: 'sent' }): boolean {
    if (expected === undefined && this.#versions.length === 0) this.#firsts.add(id)
    return this.#firsts.has(id)
  }

  #done({ call: number, written, text }: CommitRecord & { is: 'done' }, index: number): void {
    const call = this.#calls.get(number) as Call
    if (written) {
      this.#versions.push(text)
      this.#commits.push(commitIn(text))
    }
    if (index === this.#first || this.#firsts.has(call.sent.id)) return
    const { transaction, id } = call.sent
    const common = { who: this.#writers.of(transaction), id: this.#ids.of(id), written }
    const copy = this.#copies.get(number)
    if (copy !== undefined) this.#push({ ...common, kind: 'ARRIVES', copy })
    else if (!call.doubled) this.#push({ ...common, kind: 'ANSWERED' })
    // One answer to both times.
    else if (this.#records.slice(index + 1).every((each) => each.is !== 'done' || each.call !== number))
      this.#push({ ...common, kind: 'TWICE' })
  }

  #settled({ id, outcome }: CommitRecord & { is: 'settled' }): void {
    for (const [who, proposal] of this.#proposals) {
      if (proposal.id !== id || outcome === 'failed') continue
      proposal.isRefused = outcome === 'refused'
      const kind = { written: 'WRITTEN', refused: 'REFUSED', unknown: 'UNKNOWN' } as const
      this.#push({ kind: kind[outcome], who, id: this.#ids.of(id) })
    }
  }

  #push(step: Partial<Step> & { kind: Step['kind'] }): void {
    this.#steps.push({ who: 0, process: 0, id: 0, number: 0, base: 0, copy: 0, written: false, ...step })
  }

  #versionOf(record: CommitRecord & { is: 'learned' | 'heard' }): number {
    const index = record.is === 'learned' ? this.#versions.indexOf(record.text) : this.#commits.indexOf(record.id)
    if (index >= 0 || record.is === 'heard') return index < 0 ? NONE : index
    // What a message has told has the same commits.
    const named = this.#commits.indexOf(commitIn(record.text))
    return named < 0 ? NONE : named
  }
}

/** As trace.h reads it. */
export function textOf(steps: readonly Step[]): string {
  const line = ({ kind, who, process, id, number, base, copy, written }: Step): string =>
    [KINDS.indexOf(kind), who, process, id, number, base, copy, Number(written)].join(' ')
  return `${steps.map(line).join('\n')}\n`
}
