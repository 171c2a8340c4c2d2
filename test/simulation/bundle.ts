import { mkdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** Given to the Node that runs a bundle: most of what a schedule makes is garbage when it ends, and is not copied where the young generation has room. */
export const NODE_OPTIONS: readonly string[] = ['--max-semi-space-size=64']

/** A change of one of the sources. */
export interface Replacement {
  /** Relative to `src`. */
  file: string
  from: string
  to: string
}

/** The sources choose their driver by the store's members. The simulated store brings its own. */
const driver: Replacement = {
  file: 'store/drivers/choose.ts',
  from: '): Choice {\n',
  to: '): Choice {\n  const { simulatedDriver } = store as { simulatedDriver?: StoreDriver }\n  if (simulatedDriver) return chosen(simulatedDriver)\n',
}

/** Each node that starts has a middleware of its own, whose source is that of the others. */
const namesOfMethods: Replacement = {
  file: 'store/own-methods.ts',
  from: 'function accessedNames(method: unknown): string {\n',
  to: `const known = new Map<string, string>()
function accessedNames(method: unknown): string {
  const source = typeof method === 'function' ? Function.prototype.toString.call(method) : ''
  const names = known.get(source) ?? namesIn(method)
  known.set(source, names)
  return names
}
function namesIn(method: unknown): string {\n`,
}

/**
 * Bundles the sources and the simulator into one file, which Node runs.
 * @param name of the file
 * @param replacements each has to fit exactly once
 * @returns its path
 */
export async function bundle(name: string, replacements: readonly Replacement[] = []): Promise<string> {
  const folder = at('../../node_modules/.cache/sharedsession')
  mkdirSync(folder, { recursive: true })
  const outfile = `${folder}/simulation-${name}.mjs`
  await build({
    entryPoints: [at('./main.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    sourcemap: 'inline',
    sourcesContent: false,
    plugins: [storage, replacing([driver, namesOfMethods, ...replacements])],
    logLevel: 'error',
  })
  return outfile
}

/** Takes parts that do the same in less time. */
const storage: Plugin = {
  name: 'storage',
  setup({ onResolve }) {
    onResolve({ filter: /^node:async_hooks$/ }, () => ({ path: at('./async-storage.ts') }))
    onResolve({ filter: /\/attached\.js$/ }, () => ({ path: at('./attached.ts') }))
  },
}

/** Changes sources before they are bundled. */
export function replacing(replacements: readonly Replacement[]): Plugin {
  return {
    name: 'replacing',
    setup({ onLoad }) {
      onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        const own = replacements.filter(({ file }) => path === at(`../../src/${file}`))
        if (own.length === 0) return undefined
        let contents = await readFile(path, 'utf8')
        for (const { file, from, to } of own) {
          const parts = contents.split(from)
          if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times, and not once: ${from}`)
          contents = parts.join(to)
        }
        return { contents, loader: 'ts' }
      })
    },
  }
}
