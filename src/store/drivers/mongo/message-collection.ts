type Doc = Record<string, unknown>

/** What the bus uses of a collection of the package mongodb, which has had the same methods since version 4. */
export interface MessageCollection {
  insertOne(document: Doc, options: Doc): Promise<unknown>
  createIndex(fields: Doc, options: Doc): Promise<unknown>
  watch(pipeline: Doc[], options: Doc): ChangeStream
}

export interface ChangeStream {
  readonly resumeToken: unknown
  readonly closed: boolean
  once(event: 'resumeTokenChanged', listener: () => void): unknown
  /** Resolves with `null` where no change came in time. */
  tryNext(): Promise<Doc | null>
  close(): Promise<void>
}
