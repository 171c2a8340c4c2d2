import { posix } from 'node:path'
import { slugify } from '../../docs/.vitepress/links.js'
import { blocksOf, textOf } from '../../scripts/markdown.mjs'

/** Where the files of this repository are on its forge; npm shows README.md, so its links have to be absolute. */
const OWN =
  /^https:\/\/(?:github\.com\/sharedsession\/sharedsession\/(?:blob|tree|raw)|raw\.githubusercontent\.com\/sharedsession\/sharedsession)\/main\//

/** The text of a page without its code blocks, whose lines are left empty. */
function proseOf(page: string): string {
  const lines = textOf(page).split('\n')
  for (const { line, code } of blocksOf(page)) {
    for (let at = line - 1; at <= line + code.split('\n').length - 1; at++) lines[at] = ''
  }
  return lines.join('\n')
}

/** The targets of a page's links and pictures. */
export function linksOf(page: string): string[] {
  const prose = proseOf(page)
  const inline = [...prose.matchAll(/\]\((?:<([^>]+)>|([^)\s]+))[^)]*\)/g)].map(([, angled, plain]) => angled ?? plain!)
  const html = [...prose.matchAll(/\b(?:href|src)="([^"]+)"/g)].map(([, target]) => target!)
  const defined = [...prose.matchAll(/^\[[^\]]+\]:\s*(\S+)/gm)].map(([, target]) => target!)
  return [...inline, ...html, ...defined]
}

/** @returns what a link leads to in this repository; undefined where it leads out of it */
export function resolveLink(page: string, link: string): { path: string; anchor: string | undefined } | undefined {
  const own = OWN.test(link)
  if (!own && /^[a-z]+:/i.test(link)) return undefined
  const [path, anchor] = link.replace(OWN, '').split('#')
  if (own) return { path: path!, anchor }
  return { path: path ? posix.join(posix.dirname(page), path) : page, anchor }
}

/** The anchors of a page's headings, as the forge and the site make them. */
export function anchorsOf(page: string): Set<string> {
  const headings = [...proseOf(page).matchAll(/^#{1,6} (.+)$/gm)].map(([, title]) =>
    title!.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1'),
  )
  return new Set(headings.map(slugify))
}
