import type { Patch } from '../document/patch.js'
import { appendCommit, appendCommitOnce } from './commit-history.js'
import type { Snapshot } from './snapshot.js'
import type { Proposal, TtlPolicy } from './transaction.js'

/** The proposal as it is written: its snapshot has the history of a commit with that id on top of what the store holds. */
export function asCommit(proposal: Proposal, current: Snapshot | undefined, id: string): Proposal {
  const { snapshot, movedTo } = proposal
  const append = proposal.id === undefined ? appendCommit : appendCommitOnce
  const history = { ...append(current?.history, id), ...(movedTo !== undefined && { movedTo }) }
  return new ProposalWithSnapshot(proposal, snapshot.with({ history }), true)
}

/** A proposal with another snapshot; its patches are still not made. A class, for the reason that `RequestTransaction` is one. */
export class ProposalWithSnapshot implements Proposal {
  readonly ttl: Proposal['ttl']
  readonly by: Proposal['by']
  readonly id: Proposal['id']
  readonly movedTo: Proposal['movedTo']
  readonly #proposal: Proposal

  constructor(
    proposal: Proposal,
    readonly snapshot: Snapshot,
    readonly write = proposal.write,
  ) {
    const { ttl, by, id, movedTo } = proposal
    this.#proposal = proposal
    this.ttl = ttl
    this.by = by
    this.id = id
    this.movedTo = movedTo
  }

  get patches(): Patch[] {
    return this.#proposal.patches
  }
}

/** A merge never shortens a session's life, unless its author changed the maximum age. */
export function ttlPolicyFor({ snapshot: { cookie }, ttl }: Proposal, current: Snapshot | undefined): TtlPolicy {
  if (ttl) return ttl
  const same = current && (cookie.originalMaxAge ?? null) === (current.cookie.originalMaxAge ?? null)
  return same ? 'extend' : 'exact'
}
