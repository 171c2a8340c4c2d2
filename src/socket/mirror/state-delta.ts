import type { JsonValue, MirrorPatch, MirrorState, PatchPath } from '../../client/protocol.js'
import { diffArrays } from '../../document/array-diff.js'
import { isObject, sameKind } from '../../document/json.js'

type Fields = Record<string, JsonValue>

/**
 * What a client has to do to get from one published state to another one. Both have sorted keys. What is equal in both is in no patch, so
 * that the client's objects stay the same ones.
 */
export function stateDelta(from: MirrorState, to: MirrorState): MirrorPatch[] {
  const patches: MirrorPatch[] = []
  compareFields(from, to, [], patches)
  return patches
}

function compare(from: JsonValue, to: JsonValue, path: PatchPath, patches: MirrorPatch[]): void {
  if (from === to) return
  if (!sameKind(from, to)) patches.push([path, to])
  else if (Array.isArray(from)) compareArrays(from, to as JsonValue[], path, patches)
  else compareFields(from as Fields, to as Fields, path, patches)
}

function compareFields(from: Fields, to: Fields, path: PatchPath, patches: MirrorPatch[]): void {
  for (const key of Object.keys(from)) if (!Object.hasOwn(to, key)) patches.push([[...path, key]])
  for (const [key, value] of Object.entries(to)) {
    if (Object.hasOwn(from, key)) compare(from[key] as JsonValue, value, [...path, key], patches)
    else patches.push([[...path, key], value])
  }
}

function compareArrays(from: readonly JsonValue[], to: readonly JsonValue[], path: PatchPath, patches: MirrorPatch[]): void {
  // The patches before have made the array equal to `to` up to here.
  let index = 0
  let fromIndex = 0
  for (const { removed, added, kept } of diffArrays(from.map(identityOf), to.map(identityOf))) {
    // As many elements as before have changed in place.
    if (removed === added) {
      for (let i = 0; i < added; i++) {
        compare(from[fromIndex + i] as JsonValue, to[index + i] as JsonValue, [...path, index + i], patches)
      }
    } else patches.push([path, index, removed, to.slice(index, index + added)])
    index += added + kept
    fromIndex += removed + kept
  }
}

/** Equal elements have equal texts. The text of an object is no other element's. */
function identityOf(value: JsonValue): unknown {
  return isObject(value) ? JSON.stringify(value) : typeof value === 'string' ? `"${value}` : value
}
