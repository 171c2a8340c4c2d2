import type { Snapshot } from '../store/snapshot.js'

/** Is told what the store holds of a session, after each commit and each read. */
export interface StoredObserver {
  /** @param snapshot whose data is not to be changed */
  stored(snapshot: Snapshot): void
}

/** Most sessions have none. */
export const NO_OBSERVERS: readonly StoredObserver[] = []

/** @returns ends it */
export function observe(replica: { observers: readonly StoredObserver[] }, observer: StoredObserver): () => void {
  replica.observers = [...replica.observers, observer]
  return () => {
    replica.observers = replica.observers.filter((each) => each !== observer)
  }
}
