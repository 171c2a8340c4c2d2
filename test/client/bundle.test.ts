import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { bundled } from '../../scripts/weight.mjs'

const dist = (name: string) => readFileSync(new URL(`../../dist/${name}`, import.meta.url), 'utf8')

describe('what a page loads', () => {
  it('from a CDN is one module that imports nothing', () => {
    expect(dist('client.js')).not.toMatch(/\bimport\b|\brequire\b/)
  })

  it('imports the peers alone, where the entry is for a framework', () => {
    const imports = (name: string) => [...dist(name).matchAll(/from "(.*?)"/g)].map(([, module]) => module)
    expect([imports('react.js'), imports('vue.js'), imports('testing.js')]).toEqual([['react'], ['vue'], []])
  })

  it('has no guess() where it is not used', async () => {
    const all = await bundled(`import { mirror, guess } from './dist/client.js'; console.log(mirror, guess)`)
    const one = await bundled(`import { mirror } from './dist/client.js'; console.log(mirror)`)
    // It alone takes a mirror's inner member.
    expect(all).toMatch(/\]=\w+\._\b/)
    expect(one).not.toMatch(/\]=\w+\._\b/)
  })

  it('is nothing where nothing is used', async () => {
    const unused = `import { mirror } from './dist/client.js'; import { useSession } from './dist/react.js'; import * as vue from './dist/vue.js'; console.log(1)`
    expect((await bundled(unused)).trim()).toBe('console.log(1);')
  })

  it('freezes nothing in production, where no code for it is left', async () => {
    const code = `import { mirror } from './dist/client.js'; console.log(mirror)`
    expect(await bundled(code, { define: { 'process.env.NODE_ENV': '"production"' } })).not.toContain('freeze')
    expect(await bundled(code, { define: { 'process.env.NODE_ENV': '"development"' } })).toContain('freeze')
  })
})
