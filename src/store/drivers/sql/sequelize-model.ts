import { foreignMethods, type Methods } from '../../own-methods.js'

/** A value that a statement computes. */
type Expression = object

/** The part of a Sequelize model that is used. */
export interface Model {
  findOne(options: object): Promise<Row | null>
  findAll(options: object): Promise<Row[]>
  create(values: object, options: object): Promise<unknown>
  update(values: object, options: object): Promise<[count: number]>
  destroy(options: object): Promise<number>
  rawAttributes: Record<string, { field?: string; get?: unknown; set?: unknown; type?: { key?: string } } | undefined>
  options: { hooks?: object; paranoid?: boolean; defaultScope?: object; indexes?: readonly Index[] }
  primaryKeyAttributes: readonly string[]
  /** Of the columns that are said to be unique, by the names of their indexes. */
  uniqueKeys: Record<string, Index>
  sequelize: {
    getDialect(): string
    getQueryInterface(): { quoteIdentifier(name: string): string }
    options: { hooks?: object }
    constructor: SequelizeClass
  }
}

interface Index {
  unique?: boolean
  /** Columns, or expressions with options. */
  fields?: readonly unknown[]
}

interface SequelizeClass {
  Op: Record<'gt' | 'lte' | 'and', symbol>
  fn(name: string, ...values: unknown[]): Expression
  col(name: string): Expression
  literal(text: string): Expression
  where(left: unknown, right: unknown): Expression
}

export interface Row {
  sid: string
  data: string
}

/** The public members of a connect-session-sequelize store. */
export interface SequelizeStore {
  sessionModel: Model
  options: {
    /** In ms. */
    expiration: number
    disableTouch: boolean
    extendDefaultFields?: (defaults: object, session: object) => object
  }
}

/** The names that the methods of connect-session-sequelize 8 access. */
const METHODS: Methods = {
  get: ['data findOne parse sessionModel sid then'],
  set: [
    'data dataValues expiration expires extendDefaultFields findCreateFind forEach keys options save sessionModel stringify then',
  ],
  touch: ['disableTouch expiration options sessionModel then update'],
  destroy: ['destroy findOne sessionModel then'],
  expiration: ['cookie expiration expires now options'],
}

const DIALECTS = ['mysql', 'mariadb', 'postgres', 'sqlite']

export function isSequelizeStore(store: object): store is SequelizeStore {
  const { sessionModel: model, options } = store as Partial<SequelizeStore>
  const isModel = typeof model?.findOne === 'function' && model.rawAttributes !== undefined && model.sequelize !== undefined
  return typeof options === 'object' && isModel
}

/** The store's methods that are not connect-session-sequelize's own. */
export function foreignOf(store: SequelizeStore): string[] {
  return foreignMethods(store, METHODS)
}

/**
 * Does the model keep the text as it is, once for each id? One with hooks, accessors or rows that stay when they are deleted is written by the
 * store's methods.
 */
export function isFit({ sessionModel: model }: SequelizeStore): boolean {
  const { data, sid, expires } = model.rawAttributes
  const isPlain = [data, sid, expires].every((attribute) => attribute && !attribute.get && !attribute.set)
  const { hooks, paranoid, defaultScope } = model.options
  // Not CITEXT, which is compared without case, and no JSON.
  const isText = ['TEXT', 'STRING'].includes(String(data?.type?.key))
  const isUntouched = !paranoid && [hooks, defaultScope, model.sequelize.options.hooks].every(isEmpty)
  return isPlain && isText && isUntouched && hasUniqueIds(model) && DIALECTS.includes(model.sequelize.getDialect())
}

function hasUniqueIds({ primaryKeyAttributes, uniqueKeys, options: { indexes = [] }, rawAttributes: { sid } }: Model): boolean {
  const isOfId = ({ fields = [] }: Index): boolean => fields.length === 1 && ['sid', sid?.field].includes(fields[0] as string)
  return (
    String(primaryKeyAttributes) === 'sid' ||
    Object.values(uniqueKeys).some(isOfId) ||
    indexes.some((index) => index.unique === true && isOfId(index))
  )
}

function isEmpty(object: object | undefined): boolean {
  return Object.keys(object ?? {}).length === 0
}
