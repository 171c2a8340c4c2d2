import { mkdirSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { type Replacement, replacing } from '../simulation/bundle.js'

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/**
 * Bundles the program of the processes with the sources: it starts in a third of the time, and processes are killed all the time.
 * @param replacements each has to fit exactly once
 * @returns a folder of its own
 */
export async function bundleProcess(replacements: readonly Replacement[] = []): Promise<{ folder: string; script: string }> {
  const cache = at('../../node_modules/.cache/sharedsession')
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, 'process-'))
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
  return { folder, script: join(folder, 'process.mjs') }
}
