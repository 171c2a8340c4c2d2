import type { HeldTag, Tag } from '../../client/protocol.js'
import { warnOnce } from '../../debug.js'
import type { JsonObject } from '../../document/json.js'
import { SharedSessionError } from '../../errors.js'
import type { InstanceOptions } from '../../options.js'
import type { Publish } from '../../publish-option.js'
import type { SessionReplica } from '../../session/replica.js'
import { MirrorGroup, type MirrorGroupHost } from './mirror-group.js'
import { encodeFrame } from './mirror-packet.js'
import { type MirrorMember, MirrorReader, type MirrorSource } from './mirror-reader.js'
import { project } from './projection.js'
import { LeftStates, PublishedState } from './published-state.js'

const NOT_PUBLISHED = 'Pages ask for what their sessions publish, and sharedsession() has no option publish: they get nothing.'

/** Nothing is published: the answer to a client that asks. */
const NOTHING: MirrorSource = {
  state: Object.assign(new PublishedState(''), { error: 'NOT_PUBLISHED' }),
  encode: (socket, _key, frame) => encodeFrame(socket, frame()),
  leave: () => undefined,
}

/** What the sessions of one instance publish to the clients that have asked. Other sockets cost nothing. */
export class Mirrors {
  readonly #options: InstanceOptions
  /** By session; with the second parameter of `publish` each socket has a group of its own. */
  readonly #groups = new Map<SessionReplica, MirrorGroup>()
  readonly #left = new LeftStates()

  constructor(options: InstanceOptions) {
    this.#options = options
  }

  /** A client has connected with a question, or asks. @param held the tag of what it holds */
  ask(member: MirrorMember, held: HeldTag): void {
    member.mirror ??= this.#newReader(member)
    member.mirror.ask(held)
  }

  /**
   * What the session publishes now.
   * @param session a copy
   * @throws `NOT_PUBLISHED`, `BAD_OPTION`, `PUBLISH_FAILED`, `TOO_LARGE_TO_PUBLISH`
   */
  published(session: JsonObject): { state: JsonObject; tag: Tag } {
    const { publish } = this.#options
    if (!publish) throw new SharedSessionError('NOT_PUBLISHED', 'There is no option publish: this instance publishes nothing.')
    if (publish.perSocket) {
      throw new SharedSessionError(
        'BAD_OPTION',
        'The option publish has a second parameter, so each socket has a state of its own, and published() knows no socket. Use one parameter.',
      )
    }
    const { text, tag } = this.#project(publish, session)
    return { state: JSON.parse(text), tag }
  }

  /** After all sockets have left. */
  close(): void {
    this.#left.clear()
  }

  #newReader(member: MirrorMember): MirrorReader {
    const { publish } = this.#options
    const { replica, manager } = member
    if (!publish) warnOnce('NOT_PUBLISHED', NOT_PUBLISHED)
    const end = replica.ended && (manager.clock.tombstone(replica.sid)?.reason ?? 'destroyed')
    if (!publish || end) return new MirrorReader(member, NOTHING, end)
    const group = publish.perSocket
      ? this.#newGroup(member, publish)
      : (this.#groups.get(member.replica) ?? this.#newGroup(member, publish))
    const reader = new MirrorReader(member, group)
    group.join(reader)
    return reader
  }

  #newGroup({ replica, socket }: MirrorMember, publish: Publish): MirrorGroup {
    const { sid } = replica
    const isShared = !publish.perSocket
    const host: MirrorGroupHost = {
      interval: this.#options.publishInterval,
      project: (session) => this.#project(publish, session, isShared ? undefined : socket),
      failed: (readers, error) => {
        const members = [...readers].map(({ member }) => member)
        members[0]?.manager.notifier.notifyFailure(sid, members, error)
      },
      emptied: () => {
        group.close()
        if (!isShared) return
        this.#groups.delete(replica)
        if (!replica.ended) this.#left.add(sid, group.state)
      },
    }
    const group = new MirrorGroup(host, replica, (isShared && this.#left.take(sid)) || new PublishedState(sid))
    if (isShared) this.#groups.set(replica, group)
    return group
  }

  #project(publish: Publish, session: JsonObject, socket?: unknown): ReturnType<typeof project> {
    for (const key of this.#options.perSocket ?? []) delete session[key]
    return project(publish, this.#options.publishMaxBytes, session, socket)
  }
}
