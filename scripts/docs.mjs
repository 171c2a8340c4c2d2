// Builds the site of docs/ in a temporary folder, and sees that a dead link to a page fails the build. test/docs has the other links.
import { cpSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { must, reportInStages, root, run, temporary } from './support.mjs'

const vitepress = join(root, 'node_modules/vitepress/bin/vitepress.js')
const env = { NO_COLOR: '1' }

async function builds() {
  const site = temporary('docs')
  await must(process.execPath, [vitepress, 'build', 'docs', '--outDir', site], { env })
  const files = readdirSync(site, { recursive: true })
  for (const name of ['index.html', 'llms.txt', 'llms-full.txt']) if (!files.includes(name)) throw new Error(`No ${name}`)
  for (const file of files.filter((name) => /\.(?:html|css)$/.test(name))) {
    const [load] =
      readFileSync(join(site, file), 'utf8').match(/(?:src="|<link [^>]*href="|url\(["']?|@import ["'])https?:[^"')]*/) ?? []
    if (load) throw new Error(`${file} loads something from another host: ${load}`)
  }
}

async function deadLinkFails() {
  const folder = temporary('dead-link')
  cpSync(join(root, 'docs/.vitepress'), join(folder, 'docs/.vitepress'), {
    recursive: true,
    filter: (path) => basename(path) !== 'dist',
  })
  // The links do not depend on the theme, and an empty one builds sooner.
  writeFileSync(join(folder, 'docs/.vitepress/theme/index.ts'), 'export default { Layout: () => null }')
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(folder, 'docs/index.md'), '[A dead link](missing.md)\n')
  const { code, output } = await run(process.execPath, [vitepress, 'build', 'docs'], { cwd: folder, show: false, env })
  if (code === 0 || !output.includes('Found dead link ./missing')) throw new Error(`exit code ${code}\n${output}`)
}

await reportInStages('docs', [
  [
    ['the site builds and asks no other host', builds],
    ['a dead link to a page fails the build', deadLinkFails],
  ],
])
