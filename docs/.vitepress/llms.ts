import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pages, sections } from './pages.js'
import { description, site } from './project.js'

/**
 * Writes what language models read (https://llmstxt.org): llms.txt lists the pages, llms-full.txt has all of them, and each page is there
 * as Markdown beside its HTML.
 * @param docs the folder of the pages
 * @param outDir the folder of the built site
 */
export async function writeLlmsTxt(docs: string, outDir: string): Promise<void> {
  const head = `# sharedsession\n\n> ${description}\n`
  const lists = sections.map(({ title, pages }) => {
    const items = pages.map((page) => `- [${page.title}](${site}${page.name}.md): ${page.summary}`)
    return `\n## ${title}\n\n${items.join('\n')}\n`
  })
  const texts = await Promise.all(
    pages.map(async ({ name }) => {
      // Comments tell tests how to run a code block.
      const text = (await readFile(join(docs, `${name}.md`), 'utf8')).replace(/^<!--.*?-->\n+/gms, '')
      await writeFile(join(outDir, `${name}.md`), text)
      return text
    }),
  )
  await writeFile(join(outDir, 'llms.txt'), head + lists.join(''))
  await writeFile(join(outDir, 'llms-full.txt'), [head, ...texts].join('\n'))
}
