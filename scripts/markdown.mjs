// The Markdown pages of this project and the code blocks in them. scripts/snippets.mjs compiles the blocks, test/docs runs them.
//
// A comment on the line before a block says what is done with it:
//   <!-- test: login -->           names the block, so that a test can run it
//   <!-- test: file=server.ts -->  the name is that of a file: other blocks of the page can import it ('./server.js')
//   <!-- page: index.html -->      the same for a page of a browser
// More words may follow the name:
//   prelude                        put test/package/prelude.ts before the block although it imports something itself
//   run                            scripts/snippets.mjs runs it: it must end without an error, or still run after three seconds
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** README.md and every page below docs/, as paths from the root. */
export function pages() {
  const docs = existsSync(join(root, 'docs')) ? readdirSync(join(root, 'docs'), { recursive: true, withFileTypes: true }) : []
  const paths = docs
    .filter((entry) => entry.isFile() && entry.name.endsWith('.md'))
    .map((entry) => posix.join(...join(entry.parentPath, entry.name).slice(root.length).split(/[\\/]/)))
    // What the site generator keeps below docs/ is not a page.
    .filter((path) => !path.split('/').some((part) => part.startsWith('.') || part === 'node_modules' || part === 'public'))
  return ['README.md', ...paths.sort()]
}

/** The text of a file of this repository. */
export const textOf = (path) => readFileSync(join(root, path), 'utf8')

/** All code blocks of a page, in order. Throws where a block is not closed. */
export function blocksOf(page) {
  const blocks = []
  const lines = textOf(page).split('\n')
  for (let at = 0; at < lines.length; at++) {
    const fence = lines[at].match(/^(?<indent>\s*)(?<ticks>`{3,}|~{3,})\s*(?<language>[\w-]*)/)?.groups
    if (!fence) continue
    const close = lines.findIndex((line, index) => index > at && line.trim() === fence.ticks)
    if (close < 0) throw new Error(`${page}:${at + 1}: the code block is not closed`)
    let above = at - 1
    while (above > 0 && lines[above].trim() === '') above--
    const [name, ...marks] = lines[above]?.match(/^\s*<!-- (?:test|page): (.+) -->$/)?.[1].split(/\s+/) ?? []
    const code = lines
      .slice(at + 1, close)
      .map((line) => `${line.startsWith(fence.indent) ? line.slice(fence.indent.length) : line}\n`)
    blocks.push({
      ...{ page, line: at + 1, language: fence.language, code: code.join(''), marks },
      name: name?.replace('file=', ''),
      isFile: name?.startsWith('file=') ?? false,
    })
    at = close
  }
  return blocks
}
