import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pages, textOf } from '../scripts/markdown.mjs'
import { draw } from './drawing/draw.js'
import { type Results, type Saved, targetsPage, userPage } from './pages.js'
import { quote } from './quotes.js'

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
  const charts = join(target, 'charts')
  // Charts of parts that are no more.
  if (whole) rmSync(charts, { recursive: true, force: true })
  mkdirSync(charts, { recursive: true })
  for (const chart of Object.values(saved.results).flatMap(({ findings }) => findings?.charts ?? [])) {
    writeFileSync(join(charts, `${chart.file}.svg`), draw(chart))
  }
  const notes = join(folder, 'NOTES.md')
  writeFileSync(join(target, 'results.json'), `${JSON.stringify(saved, null, 1)}\n`)
  writeFileSync(join(target, 'README.md'), userPage(saved))
  writeFileSync(join(target, 'TARGETS.md'), targetsPage(saved, existsSync(notes) ? readFileSync(notes, 'utf8') : ''))
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
