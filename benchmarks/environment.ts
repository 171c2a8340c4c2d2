import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { arch, cpus, platform, totalmem } from 'node:os'

/** Names and values, in the order in which they are shown. */
export type Environment = [name: string, value: string][]

const MEASURED = [
  'socket.io',
  'express',
  'express-session',
  'express-socket.io-session',
  'connect-redis',
  'redis',
  'connect-pg-simple',
  'pg',
]

/** What the figures depend on. */
export function environment(command: string, took: string): Environment {
  const processors = cpus()
  const versions = MEASURED.map((name) => `${name} ${versionOf(name)}`)
  return [
    ['command', `\`${command}\`, took ${took}`],
    ['day', new Date().toISOString().slice(0, 10)],
    ['commit', git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', '--', 'src') ? ', with changes in src' : '')],
    ['machine', `${processors.length} × ${processors[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GB`],
    ['system', `${platform()}, ${arch()}`],
    ['Node', process.version],
    ['measured', `the built package; ${versions.join(', ')}`],
  ]
}

function versionOf(name: string): string {
  const require = createRequire(import.meta.url)
  // Not every package lets its package.json be imported.
  for (const folder of require.resolve.paths(name) ?? []) {
    try {
      return JSON.parse(readFileSync(`${folder}/${name}/package.json`, 'utf8')).version
    } catch {}
  }
  return '?'
}

function git(...args: string[]): string {
  try {
    return execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return ''
  }
}
