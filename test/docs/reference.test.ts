import { afterEach, describe, expect, it } from 'vitest'
import { textOf } from '../../scripts/markdown.mjs'
import { listen, scene, tidy } from './scene.js'
import { section } from './snippets.js'

afterEach(tidy)

/** The first column of the table under a heading; what each row says. */
function table(heading: string): Map<string, string> {
  return new Map([...section(heading).matchAll(/^\| `([\w.]+).*?` \|(.*)\|$/gm)].map(([, name, rest]) => [name!, rest!]))
}

describe('the pages name all there is, and nothing else', () => {
  it('imports', () => {
    const { exports } = JSON.parse(textOf('package.json'))
    const entries = Object.keys(exports).filter((name) => name !== './package.json')
    const rows = section('Imports').matchAll(/^\| (`sharedsession.*?) \|/gm)
    const named = [...rows].flatMap(([, cell]) => [...cell!.matchAll(/`sharedsession(.*?)`/g)].map(([, path]) => `.${path}`))
    expect(named.sort()).toEqual(entries.sort())
  })

  it('options, with their defaults', () => {
    const [, body] = textOf('src/options.ts').match(/interface SharedSessionOptions\b[^\n]*\{\n(.*?)^\}/ms)!
    const options = [...body!.matchAll(/\/\*\*(.*?)\*\/\s+(\w+)\?:/gs)]
    const rows = table('Options')
    expect([...rows.keys()].sort()).toEqual(options.map(([, , name]) => name).sort())
    for (const [, comment, name] of options) {
      const preset = comment!.match(/@default (\S+)/)?.[1]
      if (preset) expect(rows.get(name!), name).toContain(`\`${preset}\``)
    }
  })

  it('error codes', () => {
    const codes = [...textOf('src/errors.ts').matchAll(/^ {2}\| '(\w+)'/gm)].map(([, code]) => code)
    expect([...table('Error codes').keys()].sort()).toEqual(codes.sort())
  })

  it('types', () => {
    const exported = [...textOf('src/index.ts').matchAll(/\b[A-Z]\w+/g)].map(([name]) => name)
    const rows = section('Exported types').matchAll(/^\| (`[A-Z].*?) \|/gm)
    const named = [...rows].flatMap(([, cell]) => [...cell!.matchAll(/`(\w+)/g)].map(([, name]) => name))
    expect(named.sort()).toEqual(exported.sort())
  })

  it('what the doctor finds', () => {
    const [, union] = textOf('src/types.ts').match(/^export type FindingCode =\n(.*?)\n\n/ms)!
    const rows = section('The doctor').matchAll(/^\| (`[A-Z].*?) \|/gm)
    const named = [...rows].flatMap(([, cell]) => [...cell!.matchAll(/`(\w+)`/g)].map(([, code]) => code))
    expect(named.sort()).toEqual([...union!.matchAll(/'(\w+)'/g)].map(([, code]) => code).sort())
  })

  it('members', () => {
    const { shared } = scene()
    const named = [...table('Members').keys()].map((name) => name.replace('shared.', ''))
    expect(named.sort()).toEqual(Object.keys(shared).sort())
  })

  it('what stats() returns', async () => {
    const around = scene()
    await listen(around, around.shared)
    expect([...table('Statistics').keys()].sort()).toEqual(Object.keys(around.shared.stats()).sort())
  })

  it('events', () => {
    const events = [...textOf('src/types.ts').matchAll(/^ {2}'(session:\w+)':/gm)].map(([, name]) => name!)
    for (const name of events) expect(section('Events')).toContain(`| \`${name}\` |`)
  })
})
