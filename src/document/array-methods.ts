import type { DocumentState } from './document-state.js'
import { isList, isObject, type List } from './json.js'
import { proxyInfoOf } from './proxy-registry.js'
import type { Node } from './tree.js'
import { AssignedValues, markRepeatedItems, writableContainer } from './write.js'

/** The view that a method was called through: what these methods need of a `DocumentView`. */
interface CallingView {
  state: DocumentState
  author: object
  toProxy(value: unknown, parent?: Node): unknown
}

type Method = (this: unknown, ...args: unknown[]) => unknown

const MUTATORS = ['push', 'unshift', 'splice', 'fill', 'pop', 'shift', 'sort', 'reverse', 'copyWithin'] as const
const SEARCHES = ['includes', 'indexOf', 'lastIndexOf'] as const

type Mutator = (typeof MUTATORS)[number]

/**
 * Array methods that run on the live array itself, once, not on its proxy. On the proxy one `shift` of a large array would be a write to
 * every index, and a search would make a proxy of every element.
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
    const { view } = target
    const { state, author } = view
    const node = state.tree.nodeOf(target.raw)
    const { length } = target.raw
    let raw: List
    const replaced = replacedItems(name, args, target.raw)
    const { first, end, index } = newItems(name, args, target.raw, replaced)
    const assigned = new AssignedValues(state, node, author, replaced)
    try {
      raw = writableContainer(state, node) as List
      const times = name === 'fill' ? replaced.length : 1
      for (let i = first; i < end; i++) args[i] = assigned.check(args[i], index + i - first, times)
    } catch (error) {
      state.reportRefusal(error, node, [], author)
      return name === 'splice' ? [] : name === 'fill' ? this : length
    }
    if (name === 'sort' && args[0] !== undefined) args[0] = comparator(args[0], view, node)
    const changes = end > first || replaced.length > 0
    if (changes) state.journal.record(node, '', author)
    const result = native.apply(raw, args)
    if (changes) {
      assigned.commit()
      for (const [i, item] of args.slice(first, end).entries()) {
        const child = state.tree.find(item)
        if (child) state.link(child, node, String(index + i))
      }
      if (name === 'fill' || name === 'copyWithin') markRepeatedItems(state, node)
      state.reportWrite(author)
    }
    if (result === raw) return this
    const holder = node.uncopied ? node : undefined
    return name === 'splice' ? (result as List).map((item) => view.toProxy(item, holder)) : view.toProxy(result, holder)
  }
  return Object.defineProperty(method, 'name', { value: name })
}

/** Finds an element by any proxy of it, and by the application object that it is a copy of. */
function search(native: Method): Method {
  const method: Method = function (...args) {
    const target = liveList(this)
    if (!target) return native.apply(this, args)
    const { raw, view } = target
    const [wanted] = args
    if (!isObject(wanted)) return native.apply(raw, args)
    const { tree } = view.state
    const container = behindProxy(wanted) as object
    // An application object may hold proxies.
    const list = tree.find(raw)?.uncopied ? raw.map(behindProxy) : raw
    args[0] = list.includes(container) ? container : (tree.lastCopyOf(container) ?? container)
    return native.apply(list, args)
  }
  return Object.defineProperty(method, 'name', { value: native.name })
}

const behindProxy = (item: unknown): unknown => (isObject(item) ? (proxyInfoOf(item)?.raw ?? item) : item)

function liveList(proxy: unknown): { raw: List; view: CallingView } | undefined {
  const info = isObject(proxy) ? proxyInfoOf(proxy) : undefined
  return info && isList(info.raw) ? { raw: info.raw, view: info.view as CallingView } : undefined
}

/** The arguments from `first` to `end` are new elements; the first of them goes to `index`. */
function newItems(name: Mutator, args: unknown[], raw: List, replaced: List): { first: number; end: number; index: number } {
  switch (name) {
    case 'push':
      return { first: 0, end: args.length, index: raw.length }
    case 'unshift':
      return { first: 0, end: args.length, index: 0 }
    case 'splice':
      return { first: 2, end: Math.max(args.length, 2), index: spliceStart(args, raw) }
    case 'fill':
      return { first: 0, end: replaced.length > 0 ? 1 : 0, index: 0 }
    default:
      return { first: 0, end: 0, index: 0 }
  }
}

/** What the method removes, writes over or moves. */
function replacedItems(name: Mutator, args: unknown[], raw: List): List {
  switch (name) {
    case 'push':
    case 'unshift':
      return []
    case 'splice': {
      const start = spliceStart(args, raw)
      return raw.slice(start, start + removedCount(args, raw))
    }
    case 'fill':
      return raw.slice(args[1] as number, args[2] as number)
    default:
      return raw
  }
}

function spliceStart([start]: unknown[], raw: List): number {
  const relative = Math.trunc(Number(start)) || 0
  return relative < 0 ? Math.max(0, raw.length + relative) : Math.min(relative, raw.length)
}

/** How many elements a `splice` removes. */
function removedCount(args: unknown[], raw: List): number {
  if (args.length === 0) return 0
  const max = raw.length - spliceStart(args, raw)
  return args.length === 1 ? max : Math.max(0, Math.min(max, Math.trunc(Number(args[1])) || 0))
}

/** The application's comparator gets proxies. Anything but a function is left to the native method, which throws. */
function comparator(compare: unknown, view: CallingView, node: Node): unknown {
  if (typeof compare !== 'function') return compare
  return (a: unknown, b: unknown) => compare(view.toProxy(a, node), view.toProxy(b, node))
}
