import { execFileSync } from 'node:child_process'

/** A network that a process is in. */
export interface Network {
  /** Where the processes outside reach it. */
  host: string
  /** Where it reaches the store. */
  storeHost: string
  /** Runs what follows in it. */
  command: readonly string[]
}

interface Link extends Network {
  namespace: string
  /** The outer end of the virtual link to the store. */
  storeLink: string
}

const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: 'ignore' })

/**
 * A network namespace for each process, with two virtual links: one for its clients, one to the store. When the second one is down, packets are lost
 * and nobody is told: neither side sees its connections end.
 */
export class Networks {
  readonly #links: readonly Link[]

  /** Needs root on Linux, and `ip`. */
  static areAvailable(): boolean {
    const name = `shared-${process.pid}`
    try {
      ip('netns', 'add', name)
      ip('netns', 'delete', name)
      return true
    } catch {
      return false
    }
  }

  constructor(count: number) {
    this.#links = Array.from({ length: count }, (_, index) => connect(index))
  }

  of(index: number): Network {
    return this.#links[index] as Network
  }

  /** Takes down the link between a process and the store. */
  part(index: number): void {
    ip('link', 'set', (this.#links[index] as Link).storeLink, 'down')
  }

  join(index: number): void {
    ip('link', 'set', (this.#links[index] as Link).storeLink, 'up')
  }

  close(): void {
    // Its links go with it.
    for (const { namespace } of this.#links) ip('netns', 'delete', namespace)
  }
}

function connect(index: number): Link {
  const namespace = `shared-${process.pid}-${index}`
  ip('netns', 'add', namespace)
  const clients = addLink('c', 100, index, namespace)
  const store = addLink('s', 101, index, namespace)
  const command = ['ip', 'netns', 'exec', namespace]
  return { namespace, host: clients.inside, storeHost: store.outside, command, storeLink: store.name }
}

/** Adds a virtual link to a namespace. Runs at the same time have subnets of their own: the second byte is of the process. */
function addLink(
  kind: string,
  first: number,
  index: number,
  namespace: string,
): { name: string; inside: string; outside: string } {
  // At most 15 characters.
  const name = `${kind}${process.pid}-${index}`
  const [inside, outside] = [1, 2].map((last) => `10.${process.pid % 250}.${first + 2 * index}.${last}`) as [string, string]
  ip('link', 'add', name, 'type', 'veth', 'peer', 'name', kind, 'netns', namespace)
  ip('address', 'add', `${outside}/30`, 'dev', name)
  ip('-n', namespace, 'address', 'add', `${inside}/30`, 'dev', kind)
  ip('link', 'set', name, 'up')
  ip('-n', namespace, 'link', 'set', kind, 'up')
  return { name, inside, outside }
}
