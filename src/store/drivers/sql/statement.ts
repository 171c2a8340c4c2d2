/** The values that a statement is run with. */
export interface Values {
  sid: string
  text?: string
  /** As the column keeps it. */
  end?: unknown
  /** The moment, as the column keeps ends. */
  now: unknown
  /** The text of the expected session, or its digest. */
  expected?: string | undefined
}

/** A statement with a `?` for each value, in the order of their names. */
export class Statement {
  readonly text: string
  readonly #values: readonly (keyof Values | { is: unknown })[]

  constructor(text: string, values: readonly (keyof Values | { is: unknown })[] = []) {
    this.text = text
    this.#values = values
  }

  /** In the order of its placeholders. */
  valuesOf(values: Values): unknown[] {
    return this.#values.map((value) => (typeof value === 'string' ? values[value] : value.is))
  }

  static join(strings: readonly string[], parts: readonly (string | Statement)[]): Statement {
    const text = strings.map((string, n) => string + textOf(parts[n])).join('')
    return new Statement(
      text,
      parts.flatMap((part) => (typeof part === 'string' ? [] : part.#values)),
    )
  }
}

/** A statement of fixed text, in which other statements are put. */
export function sql(strings: TemplateStringsArray, ...parts: (string | Statement)[]): Statement {
  return Statement.join(strings, parts)
}

/** A value that each run has another one of. */
export const value = (name: keyof Values): Statement => new Statement('?', [name])

/** A value that is always this one. */
export const constant = (is: unknown): Statement => new Statement('?', [{ is }])

/** `(a, b, c)` */
export function list(of: readonly Statement[]): Statement {
  const separators = of.map((_, n) => (n === 0 ? '(' : ', '))
  return Statement.join([...separators, ')'], of)
}

/** A name that the client quotes. Both knex and the MySQL clients take it for two question marks. */
export const identifier = (name: string): Statement => new Statement('??', [{ is: name }])

function textOf(part: string | Statement | undefined): string {
  return typeof part === 'object' ? part.text : (part ?? '')
}
