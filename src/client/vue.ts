import type { Mirror, Status, Store } from 'sharedsession/client'
import { getCurrentScope, onScopeDispose, type ShallowRef, shallowRef } from 'vue'

function asRef<T>(store: Store<T>): Readonly<ShallowRef<T>> {
  const ref = shallowRef(store.get())
  const stop = store.listen((value) => {
    ref.value = value
  })
  if (getCurrentScope()) onScopeDispose(stop)
  return ref
}

/**
 * The mirrored state, or a part of it. It stops with the scope that it is called in.
 * @param select what the component needs. It is not called as long as there is no state
 * @param equal tells whether two selections are equal; `Object.is` by default
 * @example
 * const items = useSession(live, (state) => state.items)
 */
export function useSession<T>(mirror: Mirror<T>): Readonly<ShallowRef<T | undefined>>
export function useSession<T, R>(
  mirror: Mirror<T>,
  select: (state: T) => R,
  equal?: (a: R, b: R) => boolean,
): Readonly<ShallowRef<R | undefined>>
export function useSession<T, R>(
  mirror: Mirror<T>,
  select?: (state: T) => R,
  equal?: (a: R, b: R) => boolean,
): Readonly<ShallowRef<T | R | undefined>> {
  return asRef<T | R | undefined>(select ? mirror.select(select, equal) : mirror)
}

/** How far the mirrored state can be trusted. It stops with the scope that it is called in. */
export function useSessionStatus(mirror: Mirror<any>): Readonly<ShallowRef<Status>> {
  return asRef(mirror.statuses)
}
