import { copy } from './state.js'
import type { LayeredMirror, Mirror, Recipe } from './types.js'

/**
 * Shows what a write will do before the server has answered. The recipe is laid over each state of the server until the promise settles. The
 * state that has the write may come before the ack: the recipe has to change nothing there.
 * @param recipe gets a copy of the state, which it may change; or returns a new state. Where it throws, it is left out
 * @param promise of the write, as `socket.emitWithAck()` returns it
 * @returns the promise
 * @example
 * const add = ({ items }: Published) => void (items.includes(item) || items.push(item))
 * await guess(live, add, socket.emitWithAck('add', item))
 */
export function guess<T extends object, P>(mirror: Mirror<T>, recipe: Recipe<T>, promise: Promise<P>): Promise<P> {
  const [layers, update] = (mirror as LayeredMirror<T>)._
  let below: T | undefined
  let result: T | undefined
  const layer = (state: T | undefined): T | undefined => {
    if (state !== below) {
      below = result = state
      try {
        const draft = copy(state as T)
        const returned = recipe(draft)
        result = copy((returned === Object(returned) && !Array.isArray(returned) ? returned : draft) as T)
      } catch (error) {
        console.error(error)
      }
    }
    return result
  }
  const remove = (): void => {
    layers.delete(layer)
    update()
  }
  layers.add(layer)
  update()
  promise.then(remove, remove)
  return promise
}
