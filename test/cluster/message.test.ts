import { describe, expect, it } from 'vitest'
import { decodeMessage, encodeMessage, type Message } from '../../src/cluster/message.js'

const LIMIT = 10_000
const commit: Message = {
  kind: 'commit',
  from: { v: 1, id: 'a' },
  to: { v: 2, id: 'b' },
  change: { patches: [{ op: 'add', path: ['cart', 0], value: { sku: 'ü' } }], cookie: { originalMaxAge: null, expires: null } },
}

describe('a bus message', () => {
  it.each<[string, Message]>([
    ['a commit', commit],
    ['a commit without its change', { kind: 'commit', to: { v: 2, id: 'b' } }],
    ['an end', { kind: 'end', reason: 'destroyed', answered: false }],
    ['the end of a rotation', { kind: 'end', reason: 'regenerated', answered: true }],
    ['an answered rotation', { kind: 'answered' }],
    ['a session that is missing', { kind: 'missing' }],
  ])('is decoded as it was encoded: %s', (_, message) => {
    expect(decodeMessage(encodeMessage(message, 'node'), LIMIT)).toEqual({ ...message, node: 'node' })
  })

  it('has no change where it would be too long for the bus', () => {
    const text = encodeMessage(commit, 'node', 150)
    expect(Buffer.byteLength(text)).toBeLessThan(150)
    expect(decodeMessage(text, LIMIT)).toMatchObject({ kind: 'commit', to: { v: 2 }, change: undefined })
  })

  it('has no change where it would have more patches than are accepted', () => {
    const patches = Array.from({ length: 1001 }, () => ({ op: 'remove' as const, path: ['a'] }))
    const text = encodeMessage({ ...commit, change: { patches, cookie: {} } } as Message, 'node')
    expect(decodeMessage(text, LIMIT)).toMatchObject({ kind: 'commit', to: { v: 2 }, change: undefined })
  })

  it('may nest a hundred levels deep', () => {
    expect(decodeMessage(patched({ op: 'add', path: Array(100).fill('a'), value: nested(100) }), LIMIT)).toBeDefined()
  })

  const nested = (depth: number): unknown => JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`)
  const sent = (change: object): string => JSON.stringify({ ...JSON.parse(encodeMessage(commit, 'node')), ...change })
  const patched = (patch: object): string => sent({ change: { cookie: {}, patches: [patch] } })

  it.each([
    ['nothing', ''],
    ['no JSON', '{'],
    ['null', 'null'],
    ['a list', '[]'],
    ['another format', sent({ sharedsession: 2 })],
    ['no format', sent({ sharedsession: undefined })],
    ['another kind', sent({ kind: 'eval' })],
    ['no sender', sent({ node: undefined })],
    ['a sender that is no id', sent({ node: 'a b' })],
    ['no version', sent({ to: undefined })],
    ['a version without a name', sent({ to: { v: 1 } })],
    ['a version that is no number', sent({ to: { v: '1', id: 'a' } })],
    ['a start that is none', sent({ from: 1 })],
    ['a change that is none', sent({ change: [] })],
    ['no patches', sent({ change: { cookie: {} } })],
    ['no cookie', sent({ change: { patches: [] } })],
    ['a cookie whose end is no time', sent({ change: { patches: [], cookie: { expires: 'soon' } } })],
    ['a cookie whose age is no number', sent({ change: { patches: [], cookie: { originalMaxAge: '1' } } })],
    ['a version that is too large', sent({ to: { v: 2 ** 53, id: 'a' } })],
    ['a name that is too long', sent({ to: { v: 2, id: 'a'.repeat(41) } })],
    ['a sender whose name is too long', sent({ node: 'a'.repeat(41) })],
    ['a cookie whose age is endless', sent({}).replace('"originalMaxAge":null', '"originalMaxAge":1e999')],
    ['a cookie with an object in it', sent({ change: { patches: [], cookie: { domain: { a: 1 } } } })],
    ['a cookie with a long attribute', sent({ change: { patches: [], cookie: { domain: 'a'.repeat(4097) } } })],
    [
      'a cookie with many attributes',
      sent({ change: { patches: [], cookie: Object.fromEntries(Array.from({ length: 21 }, (_, n) => [`a${n}`, 1])) } }),
    ],
    ['a path that is too long', patched({ op: 'add', path: Array(101).fill('a'), value: 1 })],
    ['a value that nests too deep', patched({ op: 'add', path: ['a'], value: nested(101) })],
    ['a value that nests deeper than anybody can follow', sent({}).replace('"ü"', `${'['.repeat(4000)}${']'.repeat(4000)}`)],
    ['an index that is no integer any more', patched({ op: 'add', path: ['a', 2 ** 53], value: 1 })],
    ['too many patches', sent({ change: { cookie: {}, patches: Array(1001).fill({ op: 'remove', path: ['a'] }) } })],
    ['another operation', patched({ op: 'move', path: ['a'], value: 1 })],
    ['no path', patched({ op: 'remove' })],
    ['an empty path', patched({ op: 'remove', path: [] })],
    ['a path that begins with a number', patched({ op: 'remove', path: [0] })],
    ['a negative index', patched({ op: 'remove', path: ['a', -1] })],
    ['an object for a key', patched({ op: 'remove', path: ['a', {}] })],
    ['no value', patched({ op: 'add', path: ['a'] })],
    ['the cookie', patched({ op: 'replace', path: ['cookie', 'maxAge'], value: 1 })],
    ['a prototype in the path', patched({ op: 'replace', path: ['__proto__', 'admin'], value: true })],
    ['a prototype in a value', sent({}).replace('"sku"', '"__proto__"')],
    ['an escaped prototype', sent({}).replace('"sku"', '"\\u005f_proto__"')],
    ['an end for no reason', sent({ kind: 'end', reason: 'expired' })],
    ['too long', patched({ op: 'add', path: ['a'], value: 'x'.repeat(LIMIT) })],
    ['too long in bytes', patched({ op: 'add', path: ['a'], value: '€'.repeat(LIMIT / 2) })],
  ])('is not accepted: %s', (_, text) => {
    expect(decodeMessage(text, text.includes('"remove"') ? 1e9 : LIMIT)).toBeUndefined()
  })
})
