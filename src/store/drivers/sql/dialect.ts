import type { Statement } from './statement.js'

/** A table of sessions, and the conditions on its rows. */
export interface Table {
  readonly name: Statement
  readonly sid: Statement
  readonly data: Statement
  readonly end: Statement
  /** The session has not ended, as the store's own `get` decides. */
  readonly alive: Statement
}

/** What a driver runs. Each is one atomic step. */
export interface Statements {
  /** Results in `sess`, and `token` where the text does not name itself. */
  readonly read: Statement
  /** As `read`, with `sid`. */
  readMany(sids: readonly string[]): Statement
  readonly replaceExtending: Statement
  readonly replaceExactly: Statement
  readonly create: Statement
  /** Replaces a row whose end has passed. Absent where `create` does that. */
  readonly replaceEnded?: Statement
  readonly touch: Statement
  readonly exists: Statement
  readonly destroy: Statement
}

/** How one kind of server is spoken to. */
export interface Dialect {
  statementsFor(table: Table): Statements
  /** Names the content of that text; `undefined` where the text does. */
  tokenOf(text: string): string | undefined
  /** For columns of which only the server knows the tokens. Absent: `tokenOf` knows all. */
  readonly serverToken?: {
    /** Results in `type`, that of the column. */
    typeOf(table: string, column: string): Statement
    /** Results in `token` for the text of a column of that type; `undefined` where `tokenOf` knows it. */
    of(type: string): Statement | undefined
  }
  /** A unique index has refused a row: that of the ids, or another one. */
  isDuplicate(error: unknown): boolean
  /** What an error tells about the write that it is the answer to. */
  outcomeOf(error: unknown): Outcome
}

export type Outcome =
  /** Nothing was written. */
  | 'failed'
  /** Nothing was written, as another writer was faster. */
  | 'conflict'
  /** It may have been written. */
  | 'unknown'
