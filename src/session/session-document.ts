import type { Cookie } from 'express-session'
import type { Path } from '../document/json.js'
import { TrackedDocument, type TrackedDocumentOptions } from '../document/tracked-document.js'
import type { SharedSessionError } from '../errors.js'
import type { ActiveSession } from './active-session.js'
import type { IdleSession } from './idle-session.js'
import type { Member } from './member.js'
import type { ReplicaContext } from './replica-context.js'
import { type SessionCommands, SessionMethods } from './session-methods.js'
import { warnNotJson } from './warnings.js'

/** The replica that has the document. */
export interface DocumentOwner extends SessionCommands {
  /** Called at each write. */
  activate(): ActiveSession
}

type DocumentContext = Pick<ReplicaContext<never>, 'options' | 'strategies'>

/** The document of a session. */
export function createSessionDocument(
  owner: DocumentOwner,
  idle: IdleSession,
  context: DocumentContext,
): TrackedDocument<Member> {
  return new TrackedDocument(idle.takeData(), new SessionDocumentOptions(owner, context, idle.prototype))
}

/** What the document of a session asks of its replica. */
class SessionDocumentOptions implements TrackedDocumentOptions<Member> {
  readonly prototype: object
  readonly members: SessionMethods
  readonly fixed: Record<string, unknown>
  readonly #owner: DocumentOwner
  readonly #context: DocumentContext

  constructor(owner: DocumentOwner, context: DocumentContext, prototype: object) {
    this.#owner = owner
    this.#context = context
    this.prototype = prototype
    this.members = new SessionMethods(owner, prototype)
    this.fixed = new OwnProperties(owner) as object as Record<string, unknown>
  }

  get strategies(): ReplicaContext<never>['strategies'] {
    return this.#context.strategies
  }

  get maxBytes(): number {
    return this.#context.options.maxBytes
  }

  onWrite(member: Member): void {
    this.#owner.activate().wrote(member)
  }

  onUnchanged(member: Member): void {
    this.#owner.activate().repeated(member)
  }

  onLossy(path: Path, value: unknown): void {
    warnNotJson(path, value)
  }

  onProblem(error: SharedSessionError, member: Member | undefined, write?: number): void {
    this.#owner.activate().writes.rejected(error, member, write)
  }
}

/** The cookie, which is made when it is first read: one accessor for all sessions. */
class OwnProperties {
  readonly #owner: SessionCommands

  constructor(owner: SessionCommands) {
    this.#owner = owner
    Object.defineProperty(this, 'cookie', OwnProperties.#cookie)
  }

  static readonly #cookie: PropertyDescriptor & ThisType<OwnProperties> = {
    get(): Cookie {
      return this.#owner.cookie
    },
    enumerable: true,
    configurable: true,
  }
}
