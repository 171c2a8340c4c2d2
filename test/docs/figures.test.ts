import { describe, expect, it } from 'vitest'
import { quote, rows } from '../../benchmarks/quotes.js'
import { pages, textOf } from '../../scripts/markdown.mjs'

const { results } = JSON.parse(textOf('benchmarks/results.json'))

describe('the figures of the benchmarks', () => {
  it.each(pages())('on %s are those of the last run', (page) => {
    const text = textOf(page)
    expect(quote(text, results)).toBe(text)
  })

  it('are in rows of README.md', () => {
    for (const cells of rows(results)) expect(textOf('README.md')).toContain(`| ${cells.join(' | ')} |\n`)
  })

  it('replace others', () => {
    const [first] = rows(results)
    expect(quote(`| ${first![0]} | 7 | 8 | 9 |\n`, results)).toBe(`| ${first!.join(' | ')} |\n`)
    expect(quote('<!-- figures: nodes (written) -->\nold\n<!-- /figures -->', results)).toContain('a bare publish')
  })
})
