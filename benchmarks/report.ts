import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pages, textOf } from '../scripts/markdown.mjs'
import { draw } from './drawing/draw.js'
import type { Environment } from './environment.js'
import { type Figure, type Findings, reached, type Table } from './part.js'
import { parts } from './parts/index.js'
import { quote } from './quotes.js'
import { show, showSpread } from './statistics.js'
import { summary } from './summary.js'

/** By the part's name. */
export type Results = Record<string, { findings: Findings; failed?: undefined } | { failed: string; findings?: undefined }>

interface Saved {
  environment: Environment
  results: Results
}

const folder = resolve('benchmarks')

/** What the last whole run has found. */
export function readSaved(): Saved | undefined {
  const file = join(folder, 'results.json')
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
}

/**
 * Writes the results, the charts and the report.
 * @param whole a run of everything: it becomes the repository's report. Otherwise it goes into a temporary folder
 * @returns where it is
 */
export function writeReport(saved: Saved, whole: boolean): string {
  const target = whole ? folder : mkdtempSync(join(tmpdir(), 'sharedsession-benchmarks-'))
  mkdirSync(join(target, 'charts'), { recursive: true })
  for (const chart of Object.values(saved.results).flatMap(({ findings }) => findings?.charts ?? [])) {
    writeFileSync(join(target, 'charts', `${chart.file}.svg`), draw(chart))
  }
  writeFileSync(join(target, 'results.json'), `${JSON.stringify(saved, null, 1)}\n`)
  writeFileSync(join(target, 'README.md'), render(saved))
  return target
}

/** Puts the figures that matter to a user into README.md and docs/. */
export function quotePages(results: Results): void {
  for (const page of pages()) {
    const text = textOf(page)
    const quoted = quote(text, results)
    if (quoted !== text) writeFileSync(resolve(page), quoted)
  }
}

function render({ environment, results }: Saved): string {
  const figures = parts.flatMap(({ name }) => results[name]?.findings?.figures ?? [])
  const missed = figures.filter((figure) => reached(figure) === false)
  const sections = parts.flatMap(({ name, title, about }) => {
    const result = results[name]
    if (!result) return []
    if (!result.findings) return [`## ${title}`, `This part failed: ${result.failed}`]
    const { tables, charts } = result.findings
    const drawn = charts.map(({ file, title }) => `![${title}](charts/${file}.svg)`)
    return [`## ${title}`, `${about} Alone: \`npm run bench -- --only ${name}\`.`, ...tables.map(tableOf), ...drawn]
  })
  return `${[
    '# Benchmarks',
    'Written by `npm run bench`; nothing here is edited by hand but [NOTES.md](NOTES.md). Figures are medians of several rounds, with the lowest and the ' +
      'highest round in brackets. A ratio is made of two figures of the same round. Each round starts fresh processes, one server for each ' +
      'contender and one that loads them; the contenders take turns in short slices, and the order is reversed every other time. All of them have run for a while before that, so ' +
      'that V8 has compiled what they run through: its compiler counts as processor time, and a server runs for longer. Times carry ' +
      'to no other machine; ratios mostly do, and processor time is the steadier of the two on a machine that is shared.',
    environment.map(([name, value]) => `- ${name}: ${value}`).join('\n'),
    '## In three figures',
    summary(results).join('\n'),
    '## Figures and targets',
    `${figures.filter((figure) => reached(figure)).length} of ${figures.filter(({ target }) => target).length} targets are reached.`,
    tableOf({ caption: '', head: ['what', 'where', 'measure', 'median', 'target', ''], rows: figures.map(figureRow) }),
    '## Not reached',
    missed.length === 0 ? 'Nothing.' : missed.map(missedLine).join('\n'),
    existsSync(join(folder, 'NOTES.md'))
      ? readFileSync(join(folder, 'NOTES.md'), 'utf8')
          .replace(/^# .*\n+/, '')
          .trim()
      : '',
    ...sections,
  ]
    .filter(Boolean)
    .join('\n\n')}\n`
}

function figureRow(figure: Figure): string[] {
  const { row, where, measure, value, unit } = figure
  const done = reached(figure)
  return [
    row,
    where,
    measure,
    showSpread(value) + (unit ? ` ${unit}` : ''),
    targetOf(figure),
    done === undefined ? '' : done ? 'yes' : '**no**',
  ]
}

function targetOf({ target, unit }: Figure): string {
  if (!target) return 'reported'
  const limit = 'least' in target ? `at least ${show(target.least)}` : `at most ${show(target.most)}`
  return unit ? `${limit} ${unit}` : limit
}

function missedLine(figure: Figure): string {
  const { row, where, measure, value, unit } = figure
  return `- ${row}; ${where}: ${measure} ${showSpread(value)}${unit ? ` ${unit}` : ''}, ${targetOf(figure)}`
}

export function tableOf({ caption, head, rows }: Table): string {
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
  return caption ? `**${caption}**\n\n${lines}` : lines
}
