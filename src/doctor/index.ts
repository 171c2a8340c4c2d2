/**
 * doctor/: what `shared.doctor()` tells.
 *
 * | file | |
 * |---|---|
 * | facts.ts | what is known of the application; session-settings.ts: of express-session's options |
 * | store-findings.ts, cookie-findings.ts, server-findings.ts | what does not work, or not everywhere |
 * | index.ts | both as a diagnosis |
 */

import type { InstanceContext } from '../socket/instance-context.js'
import type { Servers } from '../socket/servers.js'
import type { Diagnosis, Finding } from '../types.js'
import { cookieFindings } from './cookie-findings.js'
import { collectFacts, type Facts } from './facts.js'
import { serverFindings } from './server-findings.js'
import { storeFindings } from './store-findings.js'

const SEVERITIES = ['error', 'warning', 'info'] as const

/** Instead of all others: what they look at has been given back. */
const CLOSED: Finding = {
  code: 'CLOSED',
  severity: 'error',
  message: 'close() was called: handshakes are refused, and the store is not used any more.',
  advice: 'Call doctor() before close().',
}

export function diagnose(context: InstanceContext, servers: Servers): Diagnosis {
  const facts = collectFacts(context, servers)
  const all = context.isClosed ? [CLOSED] : [...storeFindings(facts), ...cookieFindings(facts), ...serverFindings(facts)]
  const findings = SEVERITIES.flatMap((severity) => all.filter((finding) => finding.severity === severity))
  const lines = findings.map(({ severity, code, message, advice }) => `${severity} ${code}: ${message}\n  ${advice}`)
  const lead = summary(facts, context.isClosed ? 'closed' : 'not known yet')
  return { findings: findings.map((finding: Finding) => ({ ...finding })), text: [...lead, '', ...lines].join('\n') }
}

/** What the application has, one line for each part. @param noStore instead of the store, where there is none */
function summary(facts: Facts, noStore: string): string[] {
  const { manager, servers, probed } = facts
  return [
    ...(manager ? storeLines(manager) : [`store: ${noStore}`]),
    `cookie: ${[probed.cookieName ?? 'name not known', ...cookieLine(facts)].join('; ')}`,
    `Socket.IO: ${servers.map(({ path, attached }) => `${path} by ${attached ? 'shared.attach(io)' : 'io.use(shared)'}`).join(', ') || 'no server yet'}`,
  ]
}

function storeLines(manager: NonNullable<Facts['manager']>): string[] {
  const { driver, bus, severalProcesses } = manager.stats()
  const { revalidate } = manager.options
  const { name } = manager.store.constructor
  const reach = severalProcesses ? 'compares and sets: safe across processes' : 'safe within one process'
  return [
    `store: ${name}, driver ${driver}, ${reach}`,
    `bus: ${bus || 'none'}, revalidate: ${revalidate === false ? 'never' : `${revalidate} ms`}`,
  ]
}

function cookieLine({ settings }: Facts): string[] {
  if (typeof settings !== 'object') return ['settings not seen']
  const { tls } = settings.cookies
  return tls ? [...tls].map(toText) : []
}

function toText([name, value]: [string, string]): string {
  if (name !== 'expires') return value === '' ? name : `${name}=${value}`
  return `maxAge=${Math.round((Date.parse(value) - Date.now()) / 1000)} s`
}
