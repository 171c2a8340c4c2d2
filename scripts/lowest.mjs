// Runs the test suite on the lowest versions of the peers that package.json allows, in a copy of the repository. `npm run build` comes first.
import { cpSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { copyOfRepository, manifest, must, root, suite } from './support.mjs'

const lowest = ['express-session', 'socket.io'].map((name) => [name, manifest.peerDependencies[name].replace('>=', '')])

const folder = copyOfRepository('lowest')
const installed = join(folder, 'node_modules')
cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true })
// By hard links, or as files on another disk. What is written in place has a name with a dot.
const copied = (flags) => must('cp', [flags, join(root, 'node_modules/.'), installed])
await copied('-al').catch(() => copied('-a'))
for (const name of readdirSync(installed).filter((name) => name.startsWith('.') && name !== '.bin')) {
  rmSync(join(installed, name), { recursive: true })
}
// All but the peers is what the lock file says. Some stores of the tests ask for newer peers than this package does.
const options = ['--no-save', '--ignore-scripts', '--legacy-peer-deps', '--no-audit', '--silent']
await must('npm', ['install', ...options, ...lowest.map(([name, version]) => `${name}@${version}`)], { cwd: folder })
for (const [name, wanted] of lowest) {
  const { version } = JSON.parse(readFileSync(join(installed, name, 'package.json'), 'utf8'))
  if (version !== wanted) throw new Error(`${name} is ${version} here, and not the lowest that is allowed`)
  console.log(`${name} ${version}`)
}
// Several processes are tested with the newest ones, and socket.io's adapters of today need a newer socket.io than the lowest.
const processes = ['test/cluster/buses/socketio-adapter.test.ts', 'test/nodes/**', 'test/examples/cluster*']
// They meet neither peer, but for the stores that express-session's class is handed to.
const apart = ['test/document/!(client-packets).test.ts', 'test/store/drivers/**']
const left = [...processes, ...apart].flatMap((pattern) => ['--exclude', pattern])
const { code } = await suite([...left, ...process.argv.slice(2)], { cwd: folder })
process.exitCode = code
