import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { read, sections, summaryOf } from './pages.js'
import { description, site } from './project.js'

/**
 * Writes what language models read (https://llmstxt.org): llms.txt lists the pages, llms-full.txt has them all, and each page is there as
 * Markdown beside its HTML.
 */
export async function writeLlmsTxt(outDir: string): Promise<void> {
  const head = `# sharedsession\n\n> ${description}\n`
  const lists = sections.map(({ title, pages }) => {
    const items = pages.map((page) => `- [${page.title}](${site}${page.name}.md): ${summaryOf(page.name)}`)
    return `\n## ${title}\n\n${items.join('\n')}\n`
  })
  const pages = sections.flatMap(({ pages }) => pages.map(({ name }) => ({ name, text: markdownOf(name) })))
  await Promise.all([
    writeFile(join(outDir, 'llms.txt'), head + lists.join('')),
    writeFile(join(outDir, 'llms-full.txt'), [head, ...pages.map(({ text }) => text)].join('\n')),
    ...pages.map(({ name, text }) => writeFile(join(outDir, `${name}.md`), text)),
  ])
}

/** The page without comments, which tell tests how to run a code block. */
const markdownOf = (page: string) => read(page).replace(/^<!--.*?-->\n+/gms, '')
