import { describe, expect, it } from 'vitest'
import { draw } from '../../benchmarks/drawing/draw.js'
import { type Saved, targetsPage, userPage } from '../../benchmarks/pages.js'
import { insideParts, parts, questions } from '../../benchmarks/questions.js'
import { spread } from '../../benchmarks/statistics.js'
import { textOf } from '../../scripts/markdown.mjs'

const PEERS = ['bare Socket.IO', 'sharedsession', 'express-socket.io-session', "Socket.IO's recipe"]

const saved: Saved = {
  environment: [['machine', 'an old one']],
  results: {
    lost: {
      findings: {
        figures: [
          { row: 'Lost', where: '1 kB', measure: 'lost writes', value: spread([0]), target: { most: 0 } },
          { row: 'Lost', where: '1 kB', measure: 'writes of the store', value: spread([3, 4, 5]), target: { most: 2 } },
        ],
        tables: [
          {
            caption: 'Redis',
            head: ['', 'lost', 'writes'],
            rows: PEERS.map((name, index) => [name, `${index}.00`, `${index + 10}`]),
          },
        ],
        charts: [
          {
            kind: 'bars',
            file: 'lost-redis',
            title: 'Lost writes (Redis)',
            value: { label: 'of 50' },
            groups: [{ label: '50 sockets', bars: PEERS.map((name) => ({ name, value: spread([1]) })) }],
          },
        ],
      },
    },
    storm: { failed: 'the process ended' },
    tracking: {
      findings: { figures: [], tables: [{ caption: 'µs per call', head: ['', '1 kB'], rows: [['a read', '7']] }], charts: [] },
    },
  },
}

/** A section of a page, without its heading. */
function section(page: string, title: string): string {
  return page.split(/^## /m).find((part) => part.startsWith(`${title}\n`)) ?? ''
}

describe('the report of the benchmarks', () => {
  it('is what the last run and NOTES.md make of it', () => {
    const last: Saved = JSON.parse(textOf('benchmarks/results.json'))
    expect(textOf('benchmarks/README.md')).toBe(userPage(last))
    expect(textOf('benchmarks/TARGETS.md')).toBe(targetsPage(last, textOf('benchmarks/NOTES.md')))
  })

  it('has each part once', () => {
    const names = parts.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
  })

  it('answers a question in a sentence, a chart and a table with every contender', () => {
    const found = section(userPage(saved), questions.lost.title)
    expect(found).toContain('1 of the 50 writes are lost')
    expect(found).toContain('![Lost writes (Redis)](charts/lost-redis.svg)')
    for (const peer of PEERS) expect(found).toContain(`\n| ${peer} | `)
  })

  it('lists and answers the questions for which something was measured, and no others', () => {
    const page = userPage(saved)
    for (const question of Object.values(questions)) {
      const isMeasured = question.parts.some(({ name }) => saved.results[name])
      expect(page.includes(`\n- [${question.title}](#`)).toBe(isMeasured)
      expect(page.includes(`\n## ${question.title}\n\n`)).toBe(isMeasured)
    }
    expect(page).not.toContain('undefined')
  })

  it('says which part failed', () => {
    expect(section(userPage(saved), questions.restart.title)).toContain('This part failed: the process ended')
  })

  it('keeps targets, and what is inside the process, off the page for users', () => {
    expect(userPage(saved)).not.toContain('at most')
    expect(userPage(saved)).not.toContain('µs per call')
    expect(insideParts.map(({ name }) => name)).toContain('tracking')
    expect(section(targetsPage(saved, ''), 'Inside the process')).toContain('| a read | 7 |')
  })

  it('has each target with whether it is reached, and the note of its row', () => {
    const page = targetsPage(saved, '# Why\n\n## Lost\n\nBecause.\n\n## More\n\nBesides.\n')
    expect(page).toContain('1 of 2 targets are reached')
    const row = section(page, 'Lost')
    expect(row).toContain('| 1 kB | lost writes | 0.00 | at most 0.00 | reached |')
    expect(row).toContain('| 1 kB | writes of the store | 4.00 (3.00–5.00) | at most 2.00 | **not reached** |')
    expect(row).toContain('Because.')
    expect(section(page, 'More')).toContain('Besides.')
    expect(section(page, 'Not reached')).toContain('- Lost; 1 kB: writes of the store')
  })

  it('draws a chart with a bar for every contender', () => {
    const [chart] = saved.results.lost!.findings!.charts
    for (const peer of PEERS) expect(draw(chart!)).toContain(`>${peer}</text>`)
  })
})
