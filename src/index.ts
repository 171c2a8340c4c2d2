import './augment.js'

export type { Bus, BusListener } from './bus.js'
export type { MergeFunction, MergeStrategy } from './document/merge-strategy.js'
export { SharedSessionError, type SharedSessionErrorCode } from './errors.js'
export type { EndAction, RetryOptions, SharedSessionOptions } from './options.js'
export type { JsonOf, PublishedBy, PublishFunction, PublishOption, PublishPath } from './publish-types.js'
export { sharedsession, sharedsession as default } from './sharedsession.js'
export { type PostgresPool, postgresBus } from './store/drivers/postgres/bus.js'
export type {
  ChangeOrigin,
  Diagnosis,
  EndReason,
  Finding,
  FindingCode,
  LiveSession,
  Patch,
  PlainSession,
  PublishedState,
  SessionChange,
  SessionConflict,
  SessionEnd,
  SessionMiddleware,
  SharedSession,
  SharedSessionEvents,
  SharedSessionSocketEvents,
  SocketIoSharedSessionMiddleware,
  Stats,
  Target,
} from './types.js'
