import { answers } from './answers.js'
import type { Environment } from './environment.js'
import { type Figure, type Findings, type Part, reached, type Table } from './part.js'
import { insideParts, parts, type Question, type QuestionName, questions } from './questions.js'
import { show, showSpread } from './statistics.js'

/** By the part's name. */
export type Results = Record<string, { findings: Findings; failed?: undefined } | { failed: string; findings?: undefined }>

/** What a run has found. */
export interface Saved {
  environment: Environment
  results: Results
}

const HOW =
  'Figures are medians of several rounds, with the lowest and the highest round in brackets. A ratio is made of two figures of the same round. ' +
  'Each round starts fresh processes, one server for each contender and one that loads them. The contenders take turns in short slices, and the ' +
  'order is reversed every other time. All of them have run for a while before that, so that V8 has compiled what they run through: its compiler ' +
  'counts as processor time, and a server runs for longer. Times carry to no other machine. Ratios mostly do, and processor time is the steadier of ' +
  'the two on a machine that is shared.'

/** README.md: this package beside the others, by question. A question is left out if nothing was measured for it. */
export function userPage({ environment, results }: Saved): string {
  const found = answers(results)
  const asked = (Object.entries(questions) as [QuestionName, Question][]).filter(([, { parts }]) =>
    parts.some(({ name }) => results[name]),
  )
  const sections = asked.flatMap(([name, { title, parts }]) => [
    `## ${title}`,
    found[name].join(' '),
    ...parts.flatMap((part) => partOf(part, results)),
  ])
  return page([
    '# Benchmarks',
    'This package beside what you would use instead: Socket.IO without sessions ("bare", the lower bound), ' +
      "[Socket.IO's own recipe](https://socket.io/how-to/use-with-express-session), and express-socket.io-session. HTTP requests are compared with " +
      'those of express-session alone. `npm run bench` writes this page; nothing in it is edited by hand. What contributors aim at, what is not reached, and why, ' +
      'is on the page about [targets](TARGETS.md).',
    asked.map(([, { title }]) => `- [${title}](#${anchorOf(title)})`).join('\n'),
    ...sections,
    '## How it is measured',
    HOW,
    environment.map(([name, value]) => `- ${name}: ${value}`).join('\n'),
  ])
}

/** TARGETS.md: what is aimed at, for contributors. @param notes NOTES.md: a section for each row that needs one */
export function targetsPage({ environment, results }: Saved, notes: string): string {
  const figures = parts.flatMap(({ name }) => results[name]?.findings?.figures ?? [])
  const missed = figures.filter((figure) => reached(figure) === false)
  const written = notesOf(notes)
  const rows = [...new Set(figures.map(({ row }) => row))].flatMap((row) => {
    const note = written.get(row)
    written.delete(row)
    const table = {
      caption: '',
      head: ['where', 'measure', 'median', 'target', ''],
      rows: figures.filter((each) => each.row === row).map(figureRow),
    }
    return [`## ${row}`, tableOf(table), ...(note ? [note] : [])]
  })
  return page([
    '# Targets',
    'For contributors: each figure that is aimed at, whether it is reached, and where it is not, what a profile shows and what it would take. `npm run bench` writes this page; ' +
      'the reasons are those of [NOTES.md](NOTES.md). What users want to know is in the [report](README.md).',
    `${figures.filter((figure) => reached(figure)).length} of ${figures.filter(({ target }) => target).length} targets are reached.`,
    environment.map(([name, value]) => `- ${name}: ${value}`).join('\n'),
    ...(missed.length > 0 ? ['## Not reached', missed.map(missedLine).join('\n')] : []),
    ...rows,
    ...[...written].flatMap(([title, note]) => [`## ${title}`, note]),
    ...(insideParts.some(({ name }) => results[name])
      ? ['## Inside the process', ...insideParts.flatMap((part) => partOf(part, results))]
      : []),
  ])
}

/** What a part has found. Of what was not measured, nothing. */
function partOf({ name, title, about }: Part, results: Results): string[] {
  const result = results[name]
  if (!result) return []
  if (!result.findings) return [`### ${title}`, `This part failed: ${result.failed}`]
  const { tables, charts } = result.findings
  if (tables.length === 0) return []
  const drawn = charts.map(({ file, title }) => `![${title}](charts/${file}.svg)`)
  return [`### ${title}`, `${about} Alone: \`npm run bench -- --only ${name}\`.`, ...drawn, ...tables.map(tableOf)]
}

/** The sections of NOTES.md by their titles. */
function notesOf(notes: string): Map<string, string> {
  const sections = notes.split(/^## /m).slice(1)
  return new Map(
    sections.map((section) => {
      const end = section.indexOf('\n')
      return [section.slice(0, end).trim(), section.slice(end).trim()]
    }),
  )
}

function figureRow(figure: Figure): string[] {
  const { where, measure, value, unit } = figure
  const done = reached(figure)
  return [
    where,
    measure,
    showSpread(value) + (unit ? ` ${unit}` : ''),
    targetOf(figure),
    done === undefined ? '' : done ? 'reached' : '**not reached**',
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

function tableOf({ caption, head, rows }: Table): string {
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
  return caption ? `**${caption}**\n\n${lines}` : lines
}

/** As GitHub makes it of a heading. */
function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\w -]/g, '')
    .replaceAll(' ', '-')
}

function page(paragraphs: string[]): string {
  return `${paragraphs.filter(Boolean).join('\n\n')}\n`
}
