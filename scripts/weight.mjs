import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { manifest, must, root } from './support.mjs'

/** In bytes: what is downloaded, what lies in node_modules with and without dependencies, the code that is loaded. */
export const LIMITS = { packed: 214_000, unpacked: 808_000, installed: 1_902_000, code: 487_000 }

/** What a page loads of the client entries, without Socket.IO's own client: minified and gzipped, in bytes. */
export const PAGE_LIMITS = { mirror: 1_660, 'mirror and React': 2_200, 'all of the client': 3_000 }

const PAGES = {
  mirror: `export { mirror } from './dist/client.js'`,
  'mirror and React': `export { mirror } from './dist/client.js'; export * from './dist/react.js'`,
  'all of the client': `export * from './dist/client.js'; export * from './dist/react.js'; export * as vue from './dist/vue.js'`,
}

/** What a bundler makes of an entry of a page. @param contents its code, which imports from the folder of the package */
export async function bundled(contents, options = {}) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: root },
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    external: ['react', 'vue', 'socket.io-client'],
    write: false,
    ...options,
  })
  return outputFiles[0].text
}

/** @param what a key of `PAGE_LIMITS` */
export const weighPage = async (what) => gzipSync(await bundled(PAGES[what]), { level: 9 }).length

/** What a package of node_modules and all that it depends on weighs. @param folder where it is */
export function installedWeight(folder, seen = new Set()) {
  if (seen.has(folder)) return 0
  seen.add(folder)
  const { dependencies = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const below = Object.keys(dependencies).map((name) => installedWeight(find(name, folder), seen))
  return [bytesOf(folder), ...below].reduce((sum, each) => sum + each, 0)
}

/** The package as it would be published, with its dependencies; `npm run build` comes first. */
export async function weigh() {
  const [{ size, unpackedSize }] = JSON.parse(await must('npm', ['pack', '--dry-run', '--json', '--silent', '--ignore-scripts']))
  const seen = new Set()
  const dependencies = Object.keys(manifest.dependencies).map((name) => installedWeight(find(name, root), seen))
  const code = readFileSync(join(root, 'dist/api.cjs'))
  return {
    packed: size,
    unpacked: unpackedSize,
    installed: dependencies.reduce((sum, each) => sum + each, unpackedSize),
    code: code.length,
    gzipped: gzipSync(code).length,
  }
}

function find(name, from) {
  for (let folder = from; ; folder = dirname(folder)) {
    const found = join(folder, 'node_modules', name)
    if (existsSync(found)) return found
    if (folder === dirname(folder)) throw new Error(`${name} is not installed`)
  }
}

/** Without what is nested in it: that is counted where it is depended on. */
function bytesOf(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => name !== 'node_modules')
    .map((entry) => (entry.isDirectory() ? bytesOf(join(folder, entry.name)) : statSync(join(folder, entry.name)).size))
    .reduce((sum, each) => sum + each, 0)
}
