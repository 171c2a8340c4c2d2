import {
  MIRROR_EVENT,
  type MirrorFrame,
  type MirrorPatch,
  type MirrorQuestion,
  type MirrorState,
} from '../../src/client/protocol.js'
import type { Browser, ConnectOptions, TestClient } from '../support/app.js'
import { next, until } from '../support/wait.js'

/** A client that keeps the raw frames, and applies them as the protocol says. */
export interface TestMirror {
  client: TestClient
  frames: MirrorFrame[]
  readonly state: MirrorState | undefined
  readonly tag: string | undefined
  /** Resolves when the state fits. */
  when(fits: (state: any) => unknown): Promise<void>
}

/** Takes the frames of a client from now on. @param before what the client holds */
export function follow(client: TestClient, before?: Held): TestMirror {
  const frames: MirrorFrame[] = []
  let state = before?.state
  let tag = before?.tag
  client.on(MIRROR_EVENT, (frame: MirrorFrame) => {
    frames.push(frame)
    if ('s' in frame) state = frame.s
    if ('p' in frame && frame.f === tag) state = apply(state, frame.p)
    else if ('p' in frame && frame.t !== tag) throw new Error('a change of another state than the one that is held')
    if ('t' in frame) tag = frame.t
  })
  return {
    client,
    frames,
    get state() {
      return state
    },
    get tag() {
      return tag
    },
    when: (fits) => until(() => state && fits(state)),
  }
}

type Held = Pick<TestMirror, 'state' | 'tag'>

interface MirrorOptions extends ConnectOptions {
  /** What the client holds, by what was its client before. */
  before?: Held
  held?: string | 0
  canRenew?: 0 | 1
}

/** Connects with a question. */
export async function mirrored(
  browser: Browser,
  { before, held = before?.tag ?? 0, canRenew = 0, ...options }: MirrorOptions = {},
): Promise<TestMirror> {
  const question: MirrorQuestion = [held, canRenew]
  const client = browser.open({ auth: { [MIRROR_EVENT]: question }, ...options })
  const mirror = follow(client, before)
  const refused = new Promise<never>((_, reject) => client.once('connect_error', reject))
  refused.catch(() => undefined)
  await Promise.race([next(client, MIRROR_EVENT), refused])
  return mirror
}

/** A state after patches, by a plain copy. */
export function apply(state: unknown, patches: readonly MirrorPatch[]): MirrorState {
  const root = { '': structuredClone(state) } as any
  for (const patch of patches as readonly any[]) {
    const path: (string | number)[] = ['', ...patch[0]]
    const key = path.at(-1)!
    const parent = path.slice(0, -1).reduce((value, each) => value[each], root)
    if (patch.length === 4) parent[key].splice(patch[1], patch[2], ...patch[3])
    else if (patch.length === 2) parent[key] = patch[1]
    else delete parent[key]
  }
  return root['']
}
