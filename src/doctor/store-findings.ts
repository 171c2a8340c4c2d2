import type { Finding } from '../types.js'
import type { Facts } from './facts.js'

const PAGES = 'https://github.com/sharedsession/sharedsession/blob/main/docs'
const ADVICE_METHODS = `See ${PAGES}/clusters.md#methods-of-your-own.`
const SAME_MIDDLEWARE = 'Give the one middleware that expressSession() returns to app.use() and to sharedsession().'

const OTHER_STORE =
  'HTTP requests of this process keep their sessions in another store: there are two calls of expressSession(), each with a store of its own.'

/** What the store and the bus do not do. */
export function storeFindings({ probed, manager, options, servers, severalProcesses }: Facts): Finding[] {
  if (!manager) {
    const message = probed.isCookieSession
      ? 'The session middleware is cookie-session, which has no store.'
      : 'The session middleware has not shown its store yet: it does so at the first handshake that reaches it.'
    return [{ code: 'NO_STORE', severity: 'error', message, advice: `Use express-session. ${SAME_MIDDLEWARE}` }]
  }
  const { driver, bus, severalProcesses: compares } = manager.stats()
  const { choice, options: storeOptions } = manager
  const findings: Finding[] = []
  if (manager.otherStores.inUse) {
    findings.push({ code: 'OTHER_STORE', severity: 'error', message: OTHER_STORE, advice: SAME_MIDDLEWARE })
  } else if (!manager.requests.storeInUse) {
    const message = 'No HTTP request has used this store since the process started.'
    const advice = `Nothing is wrong before the first one. ${SAME_MIDDLEWARE}`
    findings.push({ code: 'STORE_UNUSED', severity: 'info', message, advice })
  }
  if (driver === 'memory') {
    findings.push({
      code: 'MEMORY_STORE',
      severity: severalProcesses ? 'error' : 'info',
      message: 'The store keeps its sessions in this process: no other process has them, and they are gone when it ends.',
      advice: `For several processes take a store on a server: ${PAGES}/clusters.md has a table.`,
    })
  } else if (choice.warning !== undefined) {
    findings.push({
      code: 'OWN_METHODS',
      severity: severalProcesses ? 'error' : 'warning',
      message: choice.warning,
      advice: ADVICE_METHODS,
    })
  } else if (!compares) {
    findings.push({
      code: 'NOT_COMPARING',
      severity: severalProcesses ? 'error' : 'warning',
      message: `${choice.hint ?? whyNot(storeOptions.driver)} Two processes that save one session in the same moment can lose one of the two writes, and bring back what the other destroyed. Within this process nothing is lost.`,
      advice: `Nothing, with a single process. For several: ${PAGES}/clusters.md has a table of stores, and ${PAGES}/drivers.md says how to write a driver.`,
    })
  }
  if (driver !== 'memory') findings.push(...busFindings({ bus, revalidate: storeOptions.revalidate, severalProcesses }))
  if (bus && manager.busProblems.isSilent) {
    findings.push({
      code: 'BUS_SILENT',
      severity: 'error',
      message: 'The bus does not confirm that it delivers messages: its connection is down, or it may not subscribe.',
      advice:
        'Start the process with DEBUG=sharedsession, which logs the errors. Redis: the user needs the right to subscribe to the channels (ACL).',
    })
  }
  if (bus && manager.busProblems.isRefused) {
    findings.push({
      code: 'BUS_REFUSES',
      severity: 'error',
      message: 'A message of this process was not published: other processes see late what it did.',
      advice:
        'Start the process with DEBUG=sharedsession, which logs the errors. Redis: the user needs the right to publish on the channels (ACL).',
    })
  }
  if (severalProcesses && servers.some((each) => !each.hasClusterAdapter)) {
    findings.push({
      code: 'ADAPTER_IN_MEMORY',
      severity: 'warning',
      message:
        "Socket.IO's adapter reaches the sockets of this process only: io.emit() and rooms, shared.room() among them, do not reach those of other processes.",
      advice: 'Give the server an adapter for several processes: https://socket.io/docs/v4/adapter/.',
    })
  }
  if (!options.autoSave) {
    findings.push({
      code: 'NO_AUTO_SAVE',
      severity: 'info',
      message: 'What sockets write is saved when the application calls session.save().',
      advice: 'sharedsession(session, { autoSave: true }) saves by itself.',
    })
  }
  return findings
}

function whyNot(driver: unknown): string {
  if (driver === 'generic')
    return "The option driver: 'generic' has the store written by its get and set, which do not compare and set."
  return 'sharedsession knows no driver for this store, and calls its get and set, which do not compare and set.'
}

function busFindings({
  bus,
  revalidate,
  severalProcesses,
}: {
  bus: unknown
  revalidate: number | false
  severalProcesses: boolean
}): Finding[] {
  const severity = severalProcesses ? 'warning' : 'info'
  if (bus) {
    if (revalidate !== false) return []
    const message = 'With revalidate: false a message that the bus has lost is never made up for.'
    return [{ code: 'REVALIDATE_OFF', severity, message, advice: 'Leave the option out.' }]
  }
  const heard =
    revalidate === false
      ? 'never by the sockets that are connected, as revalidate is false'
      : `within ${revalidate} ms, by the option revalidate`
  return [
    {
      code: 'NO_BUS',
      severity: severalProcesses && revalidate === false ? 'error' : severity,
      message: `There is no bus: what another process writes is seen ${heard}.`,
      advice:
        "Nothing, with a single process. For several: give Socket.IO's server an adapter, or set the option bus. With io.use(shared) the adapter is found with the first socket.",
    },
  ]
}
