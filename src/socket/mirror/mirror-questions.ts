import { type HeldTag, MIRROR_EVENT } from '../../client/protocol.js'
import type { SocketMember } from '../socket-member.js'

// What clients ask. They may send anything.

/** In characters. */
const LONGEST_TAG = 40

/** A socket has connected. @param top its last member, see {@link answeringMember} */
export function answerHandshake(top: SocketMember | undefined): void {
  if (!top) return
  const question = questionIn(top.socket.handshake.auth)
  if (!question) return
  const member = answeringMember(top)
  // Of a socket with the sessions of two stores each one has a hook.
  if (member && !member.mirror) member.askMirror(heldOf(question[0]))
}

/** A client has emitted the question. */
export function answerQuestion(top: SocketMember, held: unknown): void {
  answeringMember(top)?.askMirror(heldOf(held))
}

/** Can the client renew its browser's session? */
export function canRenew(auth: unknown): boolean {
  return questionIn(auth)?.[1] === 1
}

/** One socket with the sessions of two stores has one mirror: of the session that came last and is published. */
function answeringMember(top: SocketMember): SocketMember | undefined {
  for (let member: SocketMember | undefined = top; member; member = member.previous) {
    if (member.hooked && member.options.publish) return member
  }
  return top.hooked ? top : undefined
}

function questionIn(auth: unknown): readonly unknown[] | undefined {
  const question = (auth as Record<string, unknown> | undefined)?.[MIRROR_EVENT]
  return Array.isArray(question) ? question : undefined
}

function heldOf(value: unknown): HeldTag {
  return typeof value === 'string' && value.length <= LONGEST_TAG ? value : 0
}
