import type { Replacement } from '../bundle.js'

/** A mistake in a deciding line, which the simulator has to find. */
export interface Mutant extends Replacement {
  name: string
}

const of = (name: string, file: string, from: string, to: string): Mutant => ({ name, file, from, to })

export const MUTANTS: readonly Mutant[] = [
  // The commit to a store that compares.
  of(
    'a write expects nothing of what is there',
    'store/conditional-write.ts',
    'const { next, expected } = this\n    const ttl',
    'const { next } = this\n    const expected = undefined as Snapshot | undefined\n    const ttl',
  ),
  of(
    'a lost answer counts as a refusal',
    'store/conditional-write.ts',
    'if (isThere && this.next.id === undefined) {',
    'if (false as boolean) {',
  ),
  of(
    'a write of unknown outcome counts as refused',
    'store/conditional-write.ts',
    'const isAmbiguous = !isThere && (this.#isIndeterminate || result.resent === true)',
    'const isAmbiguous = false',
  ),
  of(
    'a refusal counts as written',
    'store/conditional-write.ts',
    "return { is: 'refused', current }",
    "return { is: 'written', current: current as Snapshot }",
  ),
  of(
    'a lost answer is an error before the write',
    'store/conditional-write.ts',
    'if (late || error instanceof IndeterminateWriteError) this.#isIndeterminate = true',
    '',
  ),
  of(
    'a commit is not added to the history',
    'store/proposal.ts',
    'const history = { ...append(current?.history, id)',
    'const history = { ...append(current?.history, current?.history?.ids.at(-1) ?? id)',
  ),
  of(
    'a first write whose answer is lost is sent again',
    'store/compare-and-set-strategy.ts',
    'write.expected !== undefined || transaction.isSecret === true',
    'true',
  ),
  of(
    'a replica’s write in doubt is forgotten',
    'store/compare-and-set-strategy.ts',
    'this.#indeterminate.set(transaction, write)',
    '',
  ),
  of('a commit goes on with the base of a refused one', 'store/compare-and-set-strategy.ts', '      current = outcome\n', ''),
  of(
    'a refused save is not rolled back',
    'session/replica-transaction.ts',
    '    this.#host.document.rollback()\n    this.#host.liveCookie.abortSave',
    '    this.#host.liveCookie.abortSave',
  ),
  of(
    'a session that is gone is written again',
    'store/commit-strategy.ts',
    '(current ? movedTo === undefined : !transaction.mustExist)',
    '(current ? movedTo === undefined : true)',
  ),
  of('a missing session is not reported', 'store/commit-strategy.ts', '    this.listener.onMissingInStore(sid)\n', ''),
  of(
    'an update of a session that is gone succeeds',
    'session/update-transaction.ts',
    "if ((await committer.commit(sid, transaction)) !== 'gone') result",
    'await committer.commit(sid, transaction)\n    result',
  ),
  of('nobody looks for a late write of this process', 'session/commit-events.ts', '    this.#reread(sid)\n', ''),
  of(
    'an answer that comes after many commits of others takes a replica back',
    'session/commit-events.ts',
    'if (isLower(snapshot.history, replica.history)) this',
    'if (false as boolean) this',
  ),
  of(
    'what was read under the lock of a session makes no batch out of date',
    'store/commit-strategy.ts',
    'if (found) this.listener.onRead?.(sid, found)',
    '',
  ),
  // The commit to a store that cannot.
  of(
    'a commit does not read first',
    'store/read-modify-write-strategy.ts',
    'const isFresh = transaction.isNew === true && !this.readSettlesAWrite(sid)',
    'const isFresh = true',
  ),
  of(
    'the session is not locked until its write is answered',
    'store/keyed-queue.ts',
    'const before = queue.tail\n',
    'const before = FREE\n',
  ),
  of(
    'after an error the store is not read',
    'store/read-modify-write-strategy.ts',
    'if (!found || !isWritten(found, write)) throw error',
    'throw error',
  ),
  of(
    'a failed write counts as written',
    'store/read-modify-write-strategy.ts',
    'if (!found || !isWritten(found, write)) throw error',
    '',
  ),
  of(
    'an indeterminate write counts as written',
    'store/read-modify-write-strategy.ts',
    'if (found && isWritten(found, write)) this.#onWritten',
    'if (found) this.#onWritten',
  ),
  of(
    'a save that changes nothing is written from what was loaded',
    'store/read-modify-write-strategy.ts',
    'return proposal && !this.hasToWrite(proposal) ? { proposal, current } : undefined',
    'return proposal ? { proposal, current } : undefined',
  ),
  // Saves and acks.
  of('an ack does not wait for its save', 'socket/ack-queue.ts', 'if (!saved && !this.#last) {', 'if (true as boolean) {'),
  of('an ack is sent although its save failed', 'socket/ack-queue.ts', '() => release(false)', '() => release(true)'),
  of(
    'a save counts for writes that came later',
    'session/replica-transaction.ts',
    '    this.#saved(seq)\n    base.saved',
    '    this.#saved(this.#seq)\n    base.saved',
  ),
  of(
    'writes that came while a save waited are acknowledged',
    'session/save-queue.ts',
    'const upTo = Math.max(tried, this.#failedSeq)',
    'const upTo = tried',
  ),
  of(
    'a save that was given up is not tried again',
    'session/save-queue.ts',
    'if (!this.#active && this.#requestedSeq > this.#savedSeq) this.request(this.#requestedSeq)',
    '',
  ),
  of(
    'the lost writes of an unknown outcome are acknowledged',
    'session/write-outcomes.ts',
    'if (lastLost > since.lastWrite) return',
    'if (false as boolean) return',
  ),
  of(
    'an ack waits for the last save only, and an earlier one is lost',
    'session/write-outcomes.ts',
    '    if (member.lastLost > since.lastWrite) throw lossOf(member)\n',
    '',
  ),
  of(
    'what others wrote is merged while a save is in doubt',
    'session/replica.ts',
    'if (transaction.isIndeterminate) transaction.foundInStore()\n    else',
    '',
  ),
  of(
    'a merge starts from a base that is not the document’s',
    'session/replica-transaction.ts',
    'if (theirs && !isBase && ',
    'if (theirs && !isBase && base.etag === undefined && ',
  ),
  of(
    'a request’s save replaces what others wrote',
    'store/request-transaction.ts',
    'this.#found = merge(base.data, mine.data, theirs.data, host.strategies)',
    'this.#found = merge(theirs.data, mine.data, theirs.data, host.strategies)',
  ),
  // Ends.
  of(
    'a destroy is not told to the sockets of its node',
    'session/store-calls.ts',
    '      this.#sessions.end(sid, reason, answered, arrived)\n',
    '',
  ),
  of(
    'a handshake joins a session that has ended meanwhile',
    'socket/handshake.ts',
    'resolved.hasEndedSince(beganMoment)) {\n        await resolved.waitForCookies()\n        return false\n      }\n      if (manager.clock.endedSince(sid, readMoment)) continue\n',
    'false) {\n        await resolved.waitForCookies()\n        return false\n      }\n',
  ),
  of(
    'a reported end is not looked up',
    'cluster/cluster-sync.ts',
    "'regenerated', after })\n    this.#refreshQueue.enqueue([sid])",
    "'regenerated', after })",
  ),
  of('the end of a session’s life is not looked up', 'session/revalidation-timer.ts', "this.#next === 'revalidate' || ", ''),
  // Other nodes.
  of(
    'a commit is not published',
    'cluster/publisher.ts',
    '    else if (this.bus) this.#publish(sid, this.#commit(from, next.snapshot.history, next))',
    '',
  ),
  of(
    'a message is applied that does not follow',
    'session/apply-commit-message.ts',
    '|| history?.ids.at(-1) !== from.id || history.v !== from.v',
    '',
  ),
  of(
    'a message that does not follow is dropped',
    'cluster/cluster-sync.ts',
    'if (snapshot === undefined) this.#refreshQueue.enqueue([sid])',
    'if (snapshot === undefined) return',
  ),
  of('after a gap nothing is read', 'cluster/cluster-sync.ts', 'this.#refreshQueue.enqueue(this.subscriptions.sids())', ''),
  of(
    'what a handshake has read counts although a message came since',
    'session/handshake-sessions.ts',
    'hasHeard || sessions.clock.committedSince',
    'sessions.clock.committedSince',
  ),
  of(
    'a socket that looks at its session late has one of its own',
    'session/replica.ts',
    'this.isHeld ? this : this.#context.registry.held(this)',
    'this',
  ),
  of('a destroy whose answer is lost is not looked up', 'store/committer.ts', '      this.#listener.mayHaveEnded?.(sid)\n', ''),
  of(
    'what restores a session after a late write is awaited for ever',
    'store/late-answers.ts',
    'await withTimeout(written, timeout, () => {',
    'await withTimeout(written, 1e9, () => {',
  ),
  of(
    'a session read before its subscription is not read again',
    'cluster/subscriptions.ts',
    'this.#host.read(confirmation.toRead)',
    '',
  ),
  of('a subscription outlives its sockets', 'session/replica.ts', '    this.#context.unsubscribe(this.sid)\n', ''),
  of(
    'a read that failed is not tried again',
    'cluster/refresh-queue.ts',
    '      this.#failed = true\n      this.enqueue([sid])',
    '      this.#failed = true',
  ),
  of(
    'a batch that was overtaken by a commit is applied',
    'cluster/refresh-queue.ts',
    'const isCurrent = batch && isSame && !this.#clock.committedSince(sid, batch.readMoment)',
    'const isCurrent = batch !== undefined',
  ),
  of(
    'a message is applied without the lock of the session',
    'cluster/cluster-sync.ts',
    'const applied = this.#committer.runExclusive(sid, async () => {',
    'const applied = Promise.resolve().then(async () => {',
  ),
  of(
    'a socket hears its own writes',
    'session/notifier.ts',
    'const others = instead?.get(member) ?? byOthers(change, member)',
    'const others = patches',
  ),
  of('what a handshake has read is dropped', 'session/handshake-sessions.ts', 'if (isNews) {', 'if (false as boolean) {'),
  of(
    'what a handshake has read counts although it is older',
    'session/handshake-sessions.ts',
    '(isCurrent ? isNewer !== false : isNewer === true && !committer.isBusy(sid))',
    'true',
  ),
  of(
    'the bus is closed before the requests in flight have ended',
    'session/session-manager.ts',
    '    this.#interceptor.uninstall(() => {\n      // Not',
    '    this.#cluster.close()\n    this.#interceptor.uninstall(() => {\n      // Not',
  ),
  of(
    'close() does not wait for an update() under way',
    'session/session-manager.ts',
    'const end = this.#interceptor.hold()',
    'const end = (): void => undefined',
  ),
  of(
    'a request whose session is being read is not in flight',
    'store/store-interceptor.ts',
    "'get', this.#inFlight(callback), reader",
    "'get', callback, reader",
  ),
  of(
    'a message is applied to a document that may not be what the store holds',
    'session/session-base.ts',
    ' && !this.#indeterminate && this.#messageBytesSinceRead',
    ' && this.#messageBytesSinceRead',
  ),
  of('a revalidation never reads', 'session/revalidation-timer.ts', 'if (!this.#stopped) this.start()', ''),
  // The document.
  of(
    'what a writer removes from a list stays where others have written',
    'document/merge-arrays.ts',
    'if (baseIndex !== -1 && !kept.has(baseIndex)) {',
    'if (false as boolean) {',
  ),
]

/** Why the simulator does not find some of them: what it lacks, or what else protects. */
export const HOLES: Record<string, string> = {
  'an answer that comes after many commits of others takes a replica back':
    'rare: more than eight commits of others between a write and its answer; a test over the real parts shows it',
  'writes that came while a save waited are acknowledged':
    'others protect as well: acks and `save()` are refused where a write of their socket was lost (`session/write-outcomes.ts`)',
  'a first write whose answer is lost is sent again':
    'rare: another node ends the session between the two; a test over the real parts shows it',
  'a message is applied to a document that may not be what the store holds':
    'rare: a message about an earlier commit comes after the outcome has become unknown, and before the read that follows at once; no test shows it',
}
