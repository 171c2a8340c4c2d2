import type { SharedSession } from '../../src/index.js'
import type { Answer, Change, Doc, Place, Step } from './history.js'

/** What a step is carried out on, in the process that serves the client. */
export interface Scene {
  shared: SharedSession
  sid: string
  /** `req.session` or the live session of the socket. */
  session: Doc
  /** Rejects where the session could not be saved. */
  save(): Promise<void>
}

/** Carries out what a client asked for, as an application would. Without an explicit save the end of the request or the ack saves. */
export async function perform(step: Step, scene: Scene): Promise<Answer> {
  // Part of the load, not a wait for something.
  await pause(step.before)
  const effects = step.via === 'update' ? await inRecipe(step, scene) : await inSession(step, scene)
  await pause(step.after)
  return step.changes.length === 0 ? { effects, seen: JSON.parse(JSON.stringify(scene.session)) } : { effects }
}

async function inSession(step: Step, scene: Scene): Promise<Answer['effects']> {
  const effects: Answer['effects'] = []
  for (const change of step.changes) {
    effects.push(change.do === 'increment' ? await increment(change.counter, scene) : apply(change, scene.session))
    if (effects.length === step.saveAfter) await scene.save()
  }
  return effects
}

async function increment(counter: string, { shared, sid }: Scene): Promise<number> {
  const data = await shared.update<Doc>(sid, (draft) => {
    draft.counters[counter]++
  })
  return data.counters[counter]
}

async function inRecipe({ changes }: Step, { shared, sid }: Scene): Promise<Answer['effects']> {
  let effects: Answer['effects'] = []
  const data = await shared.update<Doc>(sid, (draft) => {
    // Of the run that was written: a recipe runs again where another writer was first.
    effects = changes.map((change) => (change.do === 'increment' ? ++draft.counters[change.counter] : apply(change, draft)))
  })
  for (const change of changes) {
    if (change.do === 'increment' && typeof data.counters?.[change.counter] !== 'number') throw new Error('update() gave no data')
  }
  return effects
}

/** @returns whether there was something to set or to delete */
function apply(change: Exclude<Change, { do: 'increment' }>, session: Doc): boolean {
  const { place } = change
  if (change.do === 'set') {
    const container = made(place, session)
    if (isListOfWords(place)) container.push(place.name)
    else if (place.in === 'items') container.push({ id: place.name, value: change.value })
    else container[place.name] = change.value
    return true
  }
  const container = found(place, session)
  if (container === undefined) return false
  if (!Array.isArray(container)) return place.name in container && delete container[place.name]
  const at = indexIn(container, place)
  if (at >= 0) container.splice(at, 1)
  return at >= 0
}

const isListOfWords = ({ in: container }: Place): boolean => container === 'words' || container.startsWith('list')

function found({ in: container }: Place, session: Doc): Doc | undefined {
  if (container === 'top') return session
  return container.startsWith('made') ? session[container]?.inner : session[container]
}

/** As most applications do it: what is not there is made. */
function made(place: Place, session: Doc): Doc {
  const { in: container } = place
  if (container.startsWith('list')) session[container] ??= []
  else if (container.startsWith('made')) {
    session[container] ??= {}
    session[container].inner ??= {}
  }
  return found(place, session)!
}

function indexIn(list: any[], place: Place): number {
  const { name } = place
  return isListOfWords(place) ? list.indexOf(name) : list.findIndex(({ id }) => id === name)
}

function pause(ms: number): Promise<void> {
  return ms > 0 ? new Promise((resolve) => setTimeout(resolve, ms)) : Promise.resolve()
}
