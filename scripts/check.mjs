// Everything but the tests that must hold before a change goes in: `npm run check`, or some of it: `npm run check -- types lint`.
// Each is a script of package.json named `check:<name>`. Those of the first stage need no build; the others look at what is built.
import { manifest, reportInStages, run } from './support.mjs'

const FIRST = ['types', 'client', 'lint', 'structure', 'unused', 'build']

const names = Object.keys(manifest.scripts).flatMap((name) => (name.startsWith('check:') ? [name.slice('check:'.length)] : []))
const given = process.argv.slice(2)
const unknown = given.filter((name) => !names.includes(name))
if (unknown.length > 0) throw new Error(`No such check: ${unknown}. There are ${names}.`)
const wanted = given.length > 0 ? given : names

const check = (name) => [
  name,
  async () => {
    // Others run beside it: what it writes is shown when it is done.
    const { code, output } = await run('npm', ['run', '--silent', `check:${name}`], { show: false })
    if (output) console.log(output.trimEnd())
    if (code !== 0) throw new Error(`npm run check:${name} failed`)
  },
]
// Those that take longest come last in package.json, and begin first.
const later = wanted.filter((name) => !FIRST.includes(name)).reverse()
await reportInStages('checks', [wanted.filter((name) => FIRST.includes(name)).map(check), later.map(check)])
