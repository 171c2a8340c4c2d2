import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'
import { type Replacement, replacing } from '../simulation/bundle.js'

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

const folders: string[] = []
process.once('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/**
 * Bundles the program of the processes with the sources and with the packages that most of them load: it starts in a fraction of the time, and
 * processes are killed all the time.
 * @param replacements each has to fit exactly once
 * @returns the path of what starts it, in a folder of its own; it is there until this process ends
 */
export async function bundleProcess(replacements: readonly Replacement[] = []): Promise<string> {
  const cache = at('../../node_modules/.cache/sharedsession')
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, 'process-'))
  folders.push(folder)
  await Promise.all([
    build({
      entryPoints: [at('./process.ts'), at('./start.ts')],
      outdir: folder,
      outExtension: { '.js': '.cjs' },
      bundle: true,
      platform: 'node',
      // V8 keeps the compiled code of scripts, not of modules.
      format: 'cjs',
      target: 'node20',
      banner: { js: "const importMetaUrl = require('node:url').pathToFileURL(__filename).href" },
      define: { 'import.meta.url': 'importMetaUrl' },
      plugins: [otherStores, replacing(replacements)],
      logLevel: 'error',
    }),
    build({
      entryPoints: OTHER_STORES.map((name) => at(`./${name}.ts`)),
      outdir: folder,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      packages: 'external',
      logLevel: 'error',
    }),
  ])
  return join(folder, 'start.cjs')
}

/** Modules of their own, which share nothing with the sources: some of their packages cannot be bundled, or are other ones for a script. */
const OTHER_STORES = ['sql-stores', 'sqlite-stores', 'mongo-stores']

/** What is bundled into the program itself. */
const BUNDLED = /^(express|socket\.io|immer|mitt|debug|cookie-parser|redis|connect-redis|pg|connect-pg-simple)$/

const otherStores: Plugin = {
  name: 'other stores',
  setup({ onResolve }) {
    onResolve({ filter: /./ }, ({ path, importer }) => {
      if (importer === '' || importer.includes('node_modules')) return undefined
      const other = OTHER_STORES.find((name) => importer === at('./stores.ts') && path === `./${name}.js`)
      if (other) return { path: `./${other}.mjs`, external: true }
      return /^[^./]/.test(path) && !BUNDLED.test(path) ? { path, external: true } : undefined
    })
  },
}
