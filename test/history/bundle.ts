import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { type Replacement, replacing } from '../simulation/bundle.js'

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

const folders: string[] = []
process.once('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/**
 * Bundles the program of the processes with the sources: it starts in a third of the time, and processes are killed all the time.
 * @param replacements each has to fit exactly once
 * @returns its path, in a folder of its own; it is there until this process ends
 */
export async function bundleProcess(replacements: readonly Replacement[] = []): Promise<string> {
  const cache = at('../../node_modules/.cache/sharedsession')
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, 'process-'))
  folders.push(folder)
  await build({
    entryPoints: [at('./process.ts')],
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    // What a store needs stays in a file of its own.
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    plugins: [replacing(replacements)],
    logLevel: 'error',
  })
  return join(folder, 'process.mjs')
}
