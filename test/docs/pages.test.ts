import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { pages, textOf } from '../../scripts/markdown.mjs'
import { anchorsOf, linksOf, resolveLink } from './links.js'
import { blocks, namesOf } from './snippets.js'

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

/** Code that no test runs, by the name in the comment before it, and why. */
const notRun: Record<string, string> = {
  'main.ts': 'Nest is no dependency of this repository; scripts/snippets.mjs compiles it against Nest',
  'nestjs#session.ts': 'the same',
  'cart.gateway.ts': 'the same',
  'signals.ts': 'signals are no dependency of this repository; scripts/snippets.mjs compiles it against them',
  'solid.ts': 'Solid is no dependency of this repository; scripts/snippets.mjs compiles it against Solid',
  'angular.ts': 'Angular is no dependency of this repository; scripts/snippets.mjs compiles it against Angular',
}

describe('the code on the pages', () => {
  const tests = readdirSync(at('test/docs'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.test.ts'))
  const code = tests.map((name) => readFileSync(at(`test/docs/${name}`), 'utf8')).join('\n')
  const ran = new Set([...code.matchAll(/\b(?:run|snippet)\(\s*'([^']+)'/g)].map(([, name]) => name!))

  it.each(blocks.map((block) => [`${block.page}:${block.line}`, block] as const))(
    '%s is of a known language',
    (_place, block) => {
      expect(['ts', 'tsx', 'js', 'html', 'vue', 'svelte', 'sh', 'nginx', 'json', 'text']).toContain(block.language)
    },
  )

  it.each(
    blocks
      .filter(({ language }) => ['ts', 'tsx', 'js', 'html', 'vue', 'svelte'].includes(language))
      .map((block) => [`${block.page}:${block.line} ${block.name ?? 'without a name'}`, block] as const),
  )('%s is run by a test', (_place, block) => {
    const isRun = block.marks.includes('run') || namesOf(block).some((name) => ran.has(name) || Object.hasOwn(notRun, name))
    expect(isRun, 'name it in a comment before it, <!-- test: name -->, and run it in test/docs').toBe(true)
  })

  it('is on a page where it is said why no test runs it', () => {
    expect(Object.keys(notRun).filter((name) => !blocks.some((block) => namesOf(block).includes(name)))).toEqual([])
  })
})

describe('links', () => {
  it.each([...pages(), 'CONTRIBUTING.md', 'SECURITY.md'])('of %s lead to files and headings that exist', (page) => {
    const broken = linksOf(page).filter((link) => {
      const target = resolveLink(page, link)
      if (!target) return false
      if (!existsSync(at(target.path))) return true
      return target.anchor !== undefined && !anchorsOf(target.path).has(target.anchor)
    })
    expect(broken).toEqual([])
  })

  it('in messages of the package lead to files and headings that exist', () => {
    const files = readdirSync(at('src'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
    const code = files.map((name) => readFileSync(at(`src/${name}`), 'utf8')).join('\n')
    const folder = code.match(/^const PAGES = '(.+)'$/m)?.[1]
    const links = [...code.matchAll(/\$\{PAGES\}(\/[\w-]+\.md(?:#[\w-]+)?)/g)].map(
      ([, path]) => resolveLink('src', `${folder}${path}`)!,
    )
    expect(links.length).toBeGreaterThan(2)
    for (const { path, anchor } of links)
      expect(anchor === undefined ? existsSync(at(path)) : anchorsOf(path).has(anchor)).toBe(true)
  })
})

describe('the pages for contributors', () => {
  it.each(['CONTRIBUTING.md', 'docs/internals.md'])('%s names files, folders and scripts that are there', (page) => {
    const text = textOf(page)
    for (const [, path] of text.matchAll(/`((?:[\w-]+\/)*[\w.-]+\.ts|(?:src|test|examples|cluster)\/[\w./-]*)`/g)) {
      const places = ['', 'src/'].map((folder) => at(`${folder}${path}`))
      expect(places.some(existsSync), path).toBe(true)
    }
    const { scripts } = JSON.parse(textOf('package.json'))
    for (const [, name] of text.matchAll(/npm run ([\w:]+)/g)) expect(Object.keys(scripts)).toContain(name)
  })
})
