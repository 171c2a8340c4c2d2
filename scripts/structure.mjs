// What must hold for the source files, beside the linter's rules: `npm run check:structure`. It also says how many are small, which does not fail.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { report, root } from './support.mjs'

const MOST_LINES = 300
const FEW_LINES = 40

const files = readdirSync(join(root, 'src'), { recursive: true })
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
  .map((name) => {
    const text = readFileSync(join(root, 'src', name), 'utf8')
    return { name: join('src', name), text, lines: text.split('\n').length - 1 }
  })
const small = files.filter(({ lines }) => lines < FEW_LINES)

console.log(`${files.length} source files, ${small.length} of them with fewer than ${FEW_LINES} lines`)
await report('structure', [
  [
    `no source file has more than ${MOST_LINES} lines`,
    () => {
      const long = files.filter(({ lines }) => lines > MOST_LINES).sort((a, b) => b.lines - a.lines)
      if (long.length > 0) throw new Error(`${long.map(({ name, lines }) => `${name}: ${lines} lines`).join('\n')}\nSplit them.`)
    },
  ],
  [
    'no type is imported by an expression',
    () => {
      // The linter's rule against import cycles does not see `import('./x.js').X`.
      const found = files.filter(({ text }) => /\bimport\(\s*['"]\./.test(text)).map(({ name }) => name)
      if (found.length > 0) throw new Error(`${found.join('\n')}\nWrite \`import type\` at the top of the file.`)
    },
  ],
])
