// Runs the test suite on the lowest versions of the peers that package.json allows, in a copy of the repository.
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { copyOfRepository, manifest, must, suite } from './support.mjs'

const folder = copyOfRepository('lowest')
const file = join(folder, 'package.json')
const copy = JSON.parse(readFileSync(file, 'utf8'))
for (const name of ['express-session', 'socket.io'])
  copy.devDependencies[name] = manifest.peerDependencies[name].replace('>=', '')
writeFileSync(file, JSON.stringify(copy, null, 2))
rmSync(join(folder, 'package-lock.json'))
// Some stores of the tests ask for newer peers than this package does.
await must('npm', ['install', '--ignore-scripts', '--legacy-peer-deps', '--silent'], { cwd: folder })
for (const name of ['express-session', 'socket.io']) {
  const { version } = JSON.parse(readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8'))
  if (version !== copy.devDependencies[name]) throw new Error(`${name} is ${version} here, and not the lowest that is allowed`)
  console.log(`${name} ${version}`)
}
await must('npm', ['run', 'build'], { cwd: folder })
// Several processes are tested with the newest ones, and socket.io's adapters of today need a newer socket.io than the lowest.
const left = ['test/cluster/buses/socketio-adapter.test.ts', 'test/nodes/**', 'test/examples/cluster*'].flatMap((pattern) => [
  '--exclude',
  pattern,
])
const { code } = await suite([...left, ...process.argv.slice(2)], { cwd: folder })
process.exitCode = code
