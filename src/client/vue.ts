import type { Mirror, Status, Store } from 'sharedsession/client'
import { getCurrentInstance, getCurrentScope, onMounted, onScopeDispose, type ShallowRef, shallowRef } from 'vue'

declare const document: unknown

/** @param initial what the server has rendered with */
function asRef<T>(store: Store<T>, initial: T): Readonly<ShallowRef<T>> {
  // Before setup() of a component that is hydrated, Vue has the server's element here. Until it is mounted it shows what the server has shown.
  // A component that is shown again may have the element of before, which has left the page.
  const component = getCurrentInstance()
  let isHydrating = Boolean(component && !component.isMounted && component.vnode.el?.parentNode)
  const ref = shallowRef(isHydrating ? initial : store.get())
  // A component that is rendered on a server is never unmounted: nothing would stop it.
  if (component && typeof document === 'undefined') return ref
  const stop = store.listen((value) => {
    if (!isHydrating) ref.value = value
  })
  if (isHydrating) {
    onMounted(() => {
      isHydrating = false
      ref.value = store.get()
    })
  }
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
  const { initial } = mirror
  return select ? asRef(mirror.select(select, equal), initial && select(initial)) : asRef(mirror, initial)
}

/** How far the mirrored state can be trusted. While a page is hydrated it is `connecting`. It stops with the scope that it is called in. */
export function useSessionStatus(mirror: Mirror<any>): Readonly<ShallowRef<Status>> {
  return asRef(mirror.statuses, 'connecting')
}
