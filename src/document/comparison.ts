import { getOrInsert } from '../util/maps.js'
import { ABSENT, type Dict, type DifferingPairs, equal, isList, isObject, keysOf, type List } from './json.js'

/** How to read a tree whose containers may have changed since: the base is read in this way through the journal. */
export interface TreeView {
  /** Does a value of the tree equal this JSON value? @param differing is read and added to */
  equals(value: unknown, json: unknown, differing?: DifferingPairs): boolean
  keys(dict: Dict): string[]
  /** What an object of the tree has at a key, or {@link ABSENT}. */
  get(dict: Dict, key: string): unknown
  items(list: List): List
}

/** Reads a plain JSON tree. */
export const PLAIN_TREE: TreeView = {
  equals: equal,
  keys: keysOf,
  get: (dict, key) => (Object.hasOwn(dict, key) ? dict[key] : ABSENT),
  items: (list) => list,
}

/**
 * Compares the values of two trees, and remembers what it found: each level of nested arrays asks for all levels below it. It is valid as long as
 * neither tree changes.
 */
export class Comparison {
  readonly older: Fingerprints
  readonly newer: Fingerprints
  private readonly differing: DifferingPairs = new Map()

  constructor(private readonly view: TreeView = PLAIN_TREE) {
    const texts = new Map<string, string>()
    this.older = new Fingerprints(view, texts)
    this.newer = new Fingerprints(PLAIN_TREE, texts)
  }

  equals(older: unknown, newer: unknown): boolean {
    return this.view.equals(older, newer, this.differing)
  }
}

/** Texts of the values of one of two trees. Two values have the same text exactly if they are equal, also if one is of the other tree. */
export class Fingerprints {
  private readonly known = new Map<object, string>()

  /** @param texts by the content of a container a short text, which stands for it in the content of its holder; shared by both trees */
  constructor(
    private readonly view: TreeView,
    private readonly texts: Map<string, string>,
  ) {}

  of(value: unknown): string {
    if (!isObject(value)) return JSON.stringify(value)
    let text = this.known.get(value)
    if (text === undefined) {
      text = this.textOf(value)
      this.known.set(value, text)
    }
    return text
  }

  /** Of the `id`, `_id` or `key` of an object, with its type: `1` and `'1'` are different. */
  ofIdentifier(value: unknown): string | undefined {
    if (!isObject(value) || isList(value)) return undefined
    for (const name of ['id', '_id', 'key']) {
      const identifier = this.view.get(value as Dict, name)
      if (identifier !== ABSENT && identifier !== null) return this.of(identifier)
    }
    return undefined
  }

  private textOf(value: object): string {
    const { view } = this
    let content = isList(value) ? '[' : '{'
    // Loops: a callback for each level would take two more frames of the stack, and JSON may nest deep.
    if (isList(value)) for (const item of view.items(value)) content += `${this.of(item)},`
    else {
      const dict = value as Dict
      for (const key of view.keys(dict).sort()) content += `${JSON.stringify(key)}:${this.of(view.get(dict, key))},`
    }
    return getOrInsert(this.texts, content, () => `#${this.texts.size}`)
  }
}
