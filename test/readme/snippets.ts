import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

export interface Snippet {
  /** The first word of the comment before the block; for a named file the file's name. */
  name: string | undefined
  language: string
  code: string
}

export const readme = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8')

/** All code blocks of the README. */
export const snippets: Snippet[] = [
  ...readme.matchAll(/(?:^<!-- (?:test|page): (\S+)[^\n]* -->\n)?^```(\w+)\n(.*?)^```$/gms),
].map(([, name, language, code]) => ({ name: name?.replace('file=', ''), language: language!, code: code! }))

/** The README's block of that name. Throws where there is none, or more than one. */
export function snippet(name: string): string {
  const [found, another] = snippets.filter((each) => each.name === name)
  if (!found || another) throw new Error(`The README has ${found ? 'more than one block' : 'no block'} marked "test: ${name}"`)
  return found.code
}

/** The README's block as JavaScript without imports and exports: what they name is given to it. */
export function script(name: string): string {
  const { outputText, diagnostics } = ts.transpileModule(snippet(name), {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
    reportDiagnostics: true,
  })
  if (diagnostics?.length) throw new Error(ts.formatDiagnostics(diagnostics, host))
  return outputText.replace(/^import .*$/gm, '').replace(/^export (?!default)/gm, '')
}

/**
 * Runs the README's block.
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
