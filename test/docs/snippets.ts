import ts from 'typescript'
import { type Block, blocksOf, pages, textOf } from '../../scripts/markdown.mjs'

/** All code blocks of README.md and docs/. */
export const blocks: Block[] = pages().flatMap(blocksOf)

/**
 * The code of the block of that name, on whichever page it is. Throws where there is none, or where blocks of that name differ.
 * @param name the first word of the comment before it, or a file's name; `page#name` where several pages have such a block, as in
 *   `README#server.ts`
 */
export function snippet(name: string): string {
  const found = blocks.filter((block) => namesOf(block).includes(name))
  if (new Set(found.map(({ code }) => code)).size !== 1) {
    const lines = found.map(({ page, line }) => `${page}:${line}`)
    throw new Error(`${found.length > 0 ? `Blocks that differ (${lines}) are` : 'No block is'} marked "test: ${name}"`)
  }
  return found[0]!.code
}

/** What a test can call a block by. */
export function namesOf({ page, name }: Block): string[] {
  return name === undefined ? [] : [name, `${page.replace(/^docs\/|\.md$/g, '')}#${name}`]
}

/** The section below a heading of level two, which exactly one page has. */
export function section(heading: string): string {
  const found = pages().flatMap((page) =>
    textOf(page)
      .split(/^## /m)
      .slice(1)
      .filter((part) => part.startsWith(`${heading}\n`)),
  )
  if (found.length !== 1) throw new Error(`${found.length} pages have a section "${heading}"`)
  return found[0]!
}

/** The block as JavaScript without imports and exports: what they name is given to it. */
export function script(name: string): string {
  const { outputText, diagnostics } = ts.transpileModule(snippet(name), {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
    reportDiagnostics: true,
  })
  if (diagnostics?.length) throw new Error(ts.formatDiagnostics(diagnostics, host))
  return outputText.replace(/^import .*$/gm, '').replace(/^export (?!default)/gm, '')
}

/**
 * Runs a block.
 * @param given what it finds around it, by name
 * @param wanted the names of what it declares and the test goes on with
 */
export async function run(name: string, given: Record<string, unknown>, ...wanted: string[]): Promise<any> {
  const code = script(name).replace(/^export default /m, 'const exported = ')
  // A block of its own, so that it can declare what it also finds around it.
  const body = `{ ${code}\n return { ${wanted.join(', ')} } }`
  const AsyncFunction = (async () => {}).constructor as new (...args: string[]) => (...args: unknown[]) => Promise<any>
  return new AsyncFunction(...Object.keys(given), body)(...Object.values(given))
}

const host: ts.FormatDiagnosticsHost = {
  getCanonicalFileName: (name) => name,
  getCurrentDirectory: () => '',
  getNewLine: () => '\n',
}
