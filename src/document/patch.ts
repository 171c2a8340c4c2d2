import { formatPath } from './errors.js'
import { clone, hasOwn, isList, isObject, type Path } from './json.js'

/** One change of a JSON document, in the vocabulary of immer's patches. */
export interface Patch {
  op: 'add' | 'remove' | 'replace'
  path: (string | number)[]
  value?: unknown
}

/**
 * Applies patches in place and returns the document. Only own properties are followed, so a patch cannot reach a
 * prototype; its values are copied.
 *
 * @throws {TypeError} a path does not resolve, is empty, contains `__proto__` or ends beyond an array
 */
export function apply<T extends object>(doc: T, patches: readonly Patch[]): T {
  for (const patch of patches) applyOne(doc, patch)
  return doc
}

function applyOne(doc: object, { op, path, value }: Patch): void {
  const key = path.at(-1)
  if (key === undefined) throw new TypeError('a patch needs a path')
  if (path.includes('__proto__')) throw new TypeError(`a patch must not name __proto__: ${formatPath(path)}`)
  const target = resolve(doc, path)
  if (isList(target)) {
    const index = indexIn(target, op, path)
    if (op === 'add') target.splice(index, 0, clone(value))
    else if (op === 'remove') target.splice(index, 1)
    else target[index] = clone(value)
  } else if (op === 'remove') delete target[key]
  else target[key] = clone(value)
}

/** Beyond the end an array would get holes, as many as somebody likes. */
function indexIn(list: unknown[], op: Patch['op'], path: Path): number {
  const index = path.at(-1)
  const last = op === 'add' ? list.length : list.length - 1
  if (typeof index === 'number' && Number.isInteger(index) && index >= 0 && index <= last) return index
  throw new TypeError(`not an index of that array: ${formatPath(path)}`)
}

function resolve(doc: object, path: Path): Record<Path[number], unknown> {
  let target: unknown = doc
  for (const key of path.slice(0, -1)) {
    target = isObject(target) && hasOwn(target, key) ? (target as Record<Path[number], unknown>)[key] : undefined
  }
  if (!isObject(target)) throw new TypeError(`the path of a patch does not resolve: ${formatPath(path)}`)
  return target as Record<Path[number], unknown>
}
