export const INK = '#1f2328'
export const SOFT = '#59636e'
export const GRID = '#e4e8ec'
export const WIDTH = 760

const COLOURS: [RegExp, string][] = [
  [/sharedsession/, '#0969da'],
  [/^express-socket/, '#bc4c00'],
  [/recipe$/, '#8250df'],
  [/^bare/, '#59636e'],
  [/alone$/, '#9a6700'],
]
const OTHERS = ['#1a7f37', '#bf3989', '#0a7d8c']

/** The same colour in every chart for the same contender. */
export function colourOf(name: string, index: number): string {
  return COLOURS.find(([pattern]) => pattern.test(name))?.[1] ?? OTHERS[index % OTHERS.length]!
}

type Attributes = Record<string, string | number>

export function element(name: string, attributes: Attributes, content = ''): string {
  const written = Object.entries(attributes).map(([key, value]) => ` ${key}="${typeof value === 'number' ? tidy(value) : value}"`)
  return `<${name}${written.join('')}${content ? `>${content}</${name}>` : '/>'}`
}

export function text(x: number, y: number, content: string, attributes: Attributes = {}): string {
  return element('text', { x, y, fill: INK, 'font-size': 12, ...attributes }, escaped(content))
}

export function line(x1: number, y1: number, x2: number, y2: number, attributes: Attributes = {}): string {
  return element('line', { x1, y1, x2, y2, stroke: GRID, ...attributes })
}

/** What a text takes, roughly: only to keep texts apart. */
export function widthOf(content: string, size = 12): number {
  return content.length * size * 0.56
}

/** The whole picture: ground, title, legend, and what is drawn. @param top where the legend ends, see {@link legend} */
export function picture(title: string, height: number, content: string[]): string {
  const attributes = {
    xmlns: 'http://www.w3.org/2000/svg',
    viewBox: `0 0 ${WIDTH} ${tidy(height)}`,
    width: WIDTH,
    height,
    role: 'img',
    'font-family': 'system-ui, -apple-system, "Segoe UI", "DejaVu Sans", Arial, sans-serif'.replaceAll('"', "'"),
  }
  const ground = element('rect', {
    x: 0.5,
    y: 0.5,
    width: WIDTH - 1,
    height: height - 1,
    rx: 6,
    fill: '#ffffff',
    stroke: '#d1d9e0',
  })
  const parts = [
    element('title', {}, escaped(title)),
    ground,
    text(20, 30, title, { 'font-size': 15, 'font-weight': 600 }),
    ...content,
  ]
  return `${element('svg', attributes, `\n${parts.join('\n')}\n`)}\n`
}

/** Names beside their colours, in as many lines as they need. @returns where it ends */
export function legend(
  names: { name: string; colour: string; dashed?: boolean }[],
  y: number,
): { drawn: string[]; bottom: number } {
  const drawn: string[] = []
  let x = 20
  for (const { name, colour, dashed } of names) {
    const width = 22 + widthOf(name) + 18
    if (x + width > WIDTH - 10 && x > 20) {
      x = 20
      y += 20
    }
    if (dashed) drawn.push(line(x, y - 4, x + 14, y - 4, { stroke: colour, 'stroke-width': 2, 'stroke-dasharray': '4 3' }))
    else drawn.push(element('rect', { x, y: y - 9, width: 14, height: 10, rx: 2, fill: colour }))
    drawn.push(text(x + 20, y, name))
    x += width
  }
  return { drawn, bottom: y + 10 }
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

function tidy(value: number): number {
  return Math.round(value * 10) / 10
}
