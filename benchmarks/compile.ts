import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'tsdown'

const folder = resolve('node_modules/.cache/sharedsession/benchmarks')
const names = ['server', 'load', 'document', 'listener', 'commits', 'drivers', 'start', 'pages', 'pages-server'] as const

/** A process that measures or is measured. */
export type ProcessName = (typeof names)[number]

/** Where the compiled process is. */
export function fileOf(name: ProcessName): string {
  return resolve(folder, `${name}.mjs`)
}

/**
 * Compiles the processes: plain JavaScript, as users run it. A loader that transforms TypeScript names every closure when it is made,
 * and that would be measured too. The package itself is taken from `dist`.
 */
export async function compile(): Promise<void> {
  process.env.BENCH_PACKAGE = pathToFileURL(resolve('dist/index.js')).href
  process.env.BENCH_CLIENT = pathToFileURL(resolve('dist/client.js')).href
  await build({
    config: false,
    entry: Object.fromEntries(names.map((name) => [name, `benchmarks/processes/${name}.ts`])),
    outDir: folder,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    dts: false,
    skipNodeModulesBundle: true,
    logLevel: 'error',
  })
}
