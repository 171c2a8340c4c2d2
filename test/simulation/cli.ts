import { spawn } from 'node:child_process'
import { parseArgs } from 'node:util'
import { bundle, NODE_OPTIONS } from './bundle.js'
import type { Options } from './main.js'

// npm run simulate -- [--seed N] [--schedules N] [--operations N] [--log] [--shrink] [--all]

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    schedules: { type: 'string', default: '1000' },
    operations: { type: 'string', default: '100' },
    log: { type: 'boolean', default: false },
    shrink: { type: 'boolean', default: false },
    all: { type: 'boolean', default: false },
  },
})
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed)
const options: Options = {
  ranges: [{ seed, schedules: Number(values.schedules) }],
  operations: Number(values.operations),
  log: values.log,
  shrink: values.shrink,
  all: values.all,
}
const path = await bundle('cli')
console.error(`seed ${seed}, ${values.schedules} schedules of ${options.operations} operations`)
const child = spawn(process.execPath, [...NODE_OPTIONS, '--enable-source-maps', path, JSON.stringify(options)], {
  stdio: ['ignore', 'pipe', 'inherit'],
})
let last = ''
child.stdout.on('data', (chunk) => {
  process.stdout.write(chunk)
  last = (last + chunk).slice(-4000)
})
child.on('close', (code) => {
  process.exitCode = code === 0 && /"failures":0,/.test(last) ? 0 : 1
})
