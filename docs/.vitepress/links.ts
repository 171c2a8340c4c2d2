import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { MarkdownRenderer } from 'vitepress'
import { pages } from './pages.js'
import { repository, site } from './project.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const blob = `${repository}/blob/main/`

/**
 * Lets pages link to files of the repository outside `docs/`, for instance `../test/acks.test.ts`: the forge and the site both show them.
 * Throws on a file that does not exist.
 */
export function linkToRepository(markdown: MarkdownRenderer): void {
  markdown.core.ruler.push('repository-links', ({ tokens, env }) => {
    for (const token of tokens.flatMap(({ children }) => children ?? [])) {
      const href = token.attrGet('href')
      const file = href && fileOutsideDocs(href, env.relativePath)
      if (!file) continue
      if (!existsSync(join(root, file.replace(/#.*/, '')))) throw new Error(`${env.relativePath} has a dead link: ${href}`)
      token.attrSet('href', blob + file)
    }
  })
}

function fileOutsideDocs(href: string, page: string): string | undefined {
  if (href.startsWith(blob)) return href.slice(blob.length)
  if (/^(?:[a-z]+:|[/#])/.test(href)) return undefined
  const path = posix.join('docs', posix.dirname(page), href)
  return path.startsWith('docs/') ? undefined : path
}

/** The id of a heading as the forge makes it, so that a link to a heading works on both. */
export const slugify = (heading: string) =>
  heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\-_ ]/gu, '')
    .replaceAll(' ', '-')

/**
 * What VitePress does not check: links to headings, and that the sidebar has all pages. Throws an error that lists the dead links.
 * @param outDir the folder of the built site
 * @param files the pages' Markdown files, relative to `docs/`
 */
export async function checkLinks(outDir: string, files: string[]): Promise<void> {
  const found = files.map((file) => file.replace(/\.md$/, ''))
  const html = new Map(
    await Promise.all(found.map(async (page) => [page, await readFile(join(outDir, `${page}.html`), 'utf8')] as const)),
  )
  const problems = found.flatMap((page) => deadAnchors(page, html))
  const listed = pages.map(({ name }) => name)
  for (const page of listed) if (!html.has(page)) problems.push(`The sidebar has a dead link: ${page}`)
  for (const page of found) if (page !== 'index' && !listed.includes(page)) problems.push(`The sidebar lacks ${page}.md`)
  if (problems.length > 0) throw new Error(problems.join('\n'))
}

function deadAnchors(page: string, html: Map<string, string>): string[] {
  const hrefs = (html.get(page) ?? '').matchAll(/<a [^>]*?href="([^"]*#[^"]+)"/g)
  return [...hrefs].flatMap(([, href = '']) => {
    const { href: url, hash } = new URL(href, site + page)
    if (!url.startsWith(site)) return []
    const target = url.slice(site.length).replace(/(\.html)?#.*/, '') || 'index'
    const dead = !html.get(target)?.includes(`id="${decodeURIComponent(hash.slice(1))}"`)
    return dead ? [`${page}.md has a dead link: ${href}`] : []
  })
}
