import { useEffect, useMemo, useRef, useSyncExternalStore } from 'react'
import type { Mirror, Status } from 'sharedsession/client'

/**
 * The mirrored state, or a part of it. The component renders again only when this changes.
 * @param select what the component needs. It may be written inline. It is not called as long as there is no state
 * @param equal tells whether two selections are equal; `Object.is` by default
 * @example
 * const items = useSession(live, (state) => state.items) ?? []
 */
export function useSession<T>(mirror: Mirror<T>): T | undefined
export function useSession<T, R>(mirror: Mirror<T>, select: (state: T) => R, equal?: (a: R, b: R) => boolean): R | undefined
export function useSession<T, R>(
  mirror: Mirror<T>,
  select?: (state: T) => R,
  equal: (a: R, b: R) => boolean = Object.is,
): R | undefined {
  /** What is on the screen: an inline function is another one each time, and may select the same again. */
  const shown = useRef<R | undefined>(undefined)
  const [get, getInitial] = useMemo(() => {
    if (!select) return [mirror.get as () => R | undefined, () => mirror.initial as R | undefined]
    const memoize = (read: () => T | undefined) => {
      let state: T | undefined
      let selection = shown.current
      return () => {
        const now = read()
        if (now !== state) {
          const next = now && select(now)
          if (!(now && selection !== undefined && equal(selection, next as R))) selection = next
          state = now
        }
        return state && selection
      }
    }
    return [memoize(mirror.get), memoize(() => mirror.initial)]
  }, [mirror, select, equal])
  const selection = useSyncExternalStore(mirror.listen, get, getInitial)
  useEffect(() => {
    shown.current = selection
  }, [selection])
  return selection
}

/**
 * How far the mirrored state can be trusted. While a page is hydrated it is `connecting`.
 * @example
 * {useSessionStatus(live) === 'stale' && <p>Offline</p>}
 */
export function useSessionStatus(mirror: Mirror<any>): Status {
  return useSyncExternalStore(mirror.statuses.listen, mirror.statuses.get, connecting)
}

const connecting = (): Status => 'connecting'
