export { guess } from './guess.js'
export { mirror } from './mirror.js'
export type { Store, Unsubscribe } from './store.js'
export type { Mirror, MirrorOptions, MirrorSocket, Recipe, Status } from './types.js'
