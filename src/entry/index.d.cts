import api = require('./api.cjs')

declare const sharedsession: typeof api.sharedsession & {
  default: typeof api.sharedsession
  postgresBus: typeof api.postgresBus
  sharedsession: typeof api.sharedsession
  SharedSessionError: typeof api.SharedSessionError
}

// Types only, one for each that src/index.ts exports: merged with the constant they make `export =` carry both.
declare namespace sharedsession {
  type Bus = api.Bus
  type BusListener = api.BusListener
  type ChangeOrigin = api.ChangeOrigin
  type Diagnosis = api.Diagnosis
  type EndAction = api.EndAction
  type EndReason = api.EndReason
  type Finding = api.Finding
  type FindingCode = api.FindingCode
  type JsonOf<T> = api.JsonOf<T>
  type LiveSession = api.LiveSession
  type MergeFunction = api.MergeFunction
  type MergeStrategy = api.MergeStrategy
  type Patch = api.Patch
  type PlainSession = api.PlainSession
  type PostgresPool = api.PostgresPool
  type PublishedBy<Publish> = api.PublishedBy<Publish>
  type PublishedState<State> = api.PublishedState<State>
  type PublishFunction = api.PublishFunction
  type PublishOption = api.PublishOption
  type PublishPath = api.PublishPath
  type RetryOptions = api.RetryOptions
  type SessionChange = api.SessionChange
  type SessionConflict = api.SessionConflict
  type SessionEnd = api.SessionEnd
  type SessionMiddleware = api.SessionMiddleware
  type SharedSession<State = unknown> = api.SharedSession<State>
  type SharedSessionError = api.SharedSessionError
  type SharedSessionErrorCode = api.SharedSessionErrorCode
  type SharedSessionEvents = api.SharedSessionEvents
  type SharedSessionOptions<Publish extends api.PublishOption = api.PublishOption> = api.SharedSessionOptions<Publish>
  type SharedSessionSocketEvents = api.SharedSessionSocketEvents
  type SocketIoSharedSessionMiddleware = api.SocketIoSharedSessionMiddleware
  type Stats = api.Stats
  type Target = api.Target
}

export = sharedsession
