// Everything but the tests that must hold before a change goes in: `npm run check`, or some of it: `npm run check -- types lint`.
// Each is a script of package.json named `check:<name>`; the build comes before those that look at what is built.
import { manifest, report, run } from './support.mjs'

const names = Object.keys(manifest.scripts).flatMap((name) => (name.startsWith('check:') ? [name.slice('check:'.length)] : []))
const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !names.includes(name))
if (unknown.length > 0) throw new Error(`No such check: ${unknown}. There are ${names}.`)

await report(
  'checks',
  names
    .filter((name) => wanted.length === 0 || wanted.includes(name))
    .map((name) => [
      name,
      async () => {
        const { code } = await run('npm', ['run', '--silent', `check:${name}`])
        if (code !== 0) throw new Error(`npm run check:${name} failed`)
      },
    ]),
)
