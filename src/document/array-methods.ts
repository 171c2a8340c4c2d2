import type { DocumentState } from './document-state.js'
import { isContainer, isList, isObject, type List } from './json.js'
import { proxyInfo } from './proxy-registry.js'
import type { Node } from './tree.js'
import { AssignedValues, writableContainer } from './write.js'

/** What these methods need of the face through which they were called. */
interface ProxyView {
  state: DocumentState<object>
  author: object
  toProxy(value: unknown, parent?: Node): unknown
}

type Method = (this: unknown, ...args: unknown[]) => unknown

const MUTATORS = ['push', 'unshift', 'splice', 'fill', 'pop', 'shift', 'sort', 'reverse', 'copyWithin'] as const
const SEARCHES = ['includes', 'indexOf', 'lastIndexOf'] as const

type Mutator = (typeof MUTATORS)[number]

/**
 * Array methods that run on the live array itself, once, instead of on its proxy: one `shift` of a large array would otherwise be a
 * write to every index, and a search would see one proxy after the other.
 */
export const ARRAY_METHODS: ReadonlyMap<string | symbol, Method> = new Map<string, Method>([
  ...MUTATORS.map((name): [string, Method] => [name, mutator(name)]),
  ...SEARCHES.map((name): [string, Method] => [name, search(Array.prototype[name] as Method)]),
])

function mutator(name: Mutator): Method {
  const native = Array.prototype[name] as Method
  const method: Method = function (...args) {
    const target = liveList(this)
    if (!target) return native.apply(this, args)
    const { face } = target
    const { state, author } = face
    const node = state.tree.nodeOf(target.raw)
    const { length } = target.raw
    let raw: List
    const admission = new AssignedValues(state, node, author)
    const [from, to, place] = newItems(name, args, target.raw)
    try {
      raw = writableContainer(state, node) as List
      for (let i = from; i < to; i++) args[i] = admission.check(args[i], place + i - from)
    } catch (error) {
      state.reportRefusal(error, node, [], author)
      return name === 'splice' ? [] : name === 'fill' ? this : length
    }
    if (name === 'sort' && args[0] !== undefined) args[0] = comparator(args[0], face, node)
    const changes = to > from || (name === 'splice' ? removals(args, raw) : raw.length) > 0
    if (changes) state.journal.record(node, '', author)
    const result = native.apply(raw, args)
    if (changes) {
      admission.commit()
      for (const item of args.slice(from, to)) {
        const child = state.tree.find(item)
        if (child) state.link(child, node, '')
      }
      if (name === 'fill' || name === 'copyWithin') shareRepeated(state, node, raw)
      state.countWrite(author)
    }
    if (result === raw) return this
    const holder = node.uncopied ? node : undefined
    return name === 'splice' ? (result as List).map((item) => face.toProxy(item, holder)) : face.toProxy(result, holder)
  }
  return Object.defineProperty(method, 'name', { value: name })
}

/** Elements of the tree are found by any proxy of theirs, and by the raw object that they were made of. */
function search(native: Method): Method {
  const method: Method = function (...args) {
    const target = liveList(this)
    if (!target) return native.apply(this, args)
    const { raw, face } = target
    const [wanted] = args
    if (!isObject(wanted)) return native.apply(raw, args)
    const behind = proxyInfo(wanted)?.raw ?? wanted
    const list = face.state.tree.find(raw)?.uncopied ? raw.map(behindProxy) : raw
    args[0] = list.includes(behind) ? behind : (face.state.rawObjects.lastCopyOf(behind) ?? behind)
    return native.apply(list, args)
  }
  return Object.defineProperty(method, 'name', { value: native.name })
}

const behindProxy = (item: unknown): unknown => (isObject(item) ? (proxyInfo(item)?.raw ?? item) : item)

function liveList(proxy: unknown): { raw: List; face: ProxyView } | undefined {
  const origin = isObject(proxy) ? proxyInfo(proxy) : undefined
  return origin && isList(origin.raw) ? { raw: origin.raw, face: origin.view as ProxyView } : undefined
}

/** Which arguments are new elements, and where the first of them goes. */
function newItems(name: Mutator, args: unknown[], raw: List): [from: number, to: number, place: number] {
  switch (name) {
    case 'push':
      return [0, args.length, raw.length]
    case 'unshift':
      return [0, args.length, 0]
    case 'splice':
      return [2, Math.max(args.length, 2), startOf(args, raw)]
    case 'fill':
      return [0, raw.length > 0 ? 1 : 0, 0]
    default:
      return [0, 0, 0]
  }
}

function startOf([start]: unknown[], raw: List): number {
  const relative = Math.trunc(Number(start)) || 0
  return relative < 0 ? Math.max(0, raw.length + relative) : Math.min(relative, raw.length)
}

function removals(args: unknown[], raw: List): number {
  if (args.length === 0) return 0
  const most = raw.length - startOf(args, raw)
  return args.length === 1 ? most : Math.min(most, Math.trunc(Number(args[1])) || 0)
}

/** The application compares proxies; anything but a function is left for the native method to refuse. */
function comparator(compare: unknown, face: ProxyView, node: Node): unknown {
  if (typeof compare !== 'function') return compare
  return (a: unknown, b: unknown) => compare(face.toProxy(a, node), face.toProxy(b, node))
}

/** One object at several indexes is an alias, until settling splits it. */
function shareRepeated(state: DocumentState<object>, node: Node, list: List): void {
  const seen = new Set<unknown>()
  for (const item of list) {
    if (isContainer(item) && seen.has(item)) state.tree.markAliased(state.tree.childNode(item, node, ''))
    seen.add(item)
  }
}
