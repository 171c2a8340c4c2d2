export { guess } from './guess.js'
export { mirror } from './mirror.js'
export type { Mirror, MirrorOptions, MirrorSocket, Recipe, Status, Store, Unsubscribe } from './types.js'
