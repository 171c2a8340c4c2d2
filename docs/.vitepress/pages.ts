export interface Page {
  /** The file's name without `.md`. */
  name: string
  title: string
  /** What the page is about, for llms.txt and search engines. */
  summary: string
}

const section = (title: string, pages: Record<string, [title: string, summary: string]>) => ({
  title,
  pages: Object.entries(pages).map(([name, [title, summary]]): Page => ({ name, title, summary })),
})

/** All pages in the order in which the sidebar, llms.txt and the table of README.md list them. */
export const sections = [
  section('Start here', {
    'getting-started': ['Getting started', 'Install the package, connect a session with Socket.IO, and what happens then.'],
    'live-page': [
      'The session in the page',
      'What the server publishes of the session, live in plain pages, React, Vue and Svelte.',
    ],
    typescript: [
      'TypeScript',
      'Types of the session data, the sockets and the events, and what to do where declarations have no effect.',
    ],
    nestjs: ['NestJS', 'An adapter that gives each gateway its session, a guard, and a clean end.'],
    migration: ['Migration', 'From express-socket.io-session, and from the recipe of Socket.IO.'],
  }),
  section('Guides', {
    login: [
      'Login and logout',
      'Session fixation, regenerate(), logged-in users only, what happens to the sockets, and Passport.',
    ],
    recipes: [
      'Recipes',
      'A complete server and page, counters, messages to all tabs, clients without cookies, and tests of an application.',
    ],
    merging: ['Merging', 'How writes of several writers are merged, conflicts, and strategies for each path.'],
    'cookies-and-handshakes': [
      'Cookies and handshakes',
      'Which session a socket gets, the handshake cookie, and allowed origins.',
    ],
  }),
  section('Reference', {
    api: ['API', 'All options, members, events, error codes and warnings.'],
    guarantees: ['Guarantees', 'What you can rely on: no lost writes, no resurrected sessions, safe rotation, recovery.'],
    limits: ['Limits', 'What the library cannot do, and what it needs of cookies, stores and values.'],
    benchmarks: ['Benchmarks', "Costs beside plain Socket.IO, Socket.IO's own recipe and express-socket.io-session."],
  }),
  section('In production', {
    deployment: ['Deployment', 'nginx, a frontend on another host, and a clean end of the process.'],
    clusters: ['Clusters', 'Several nodes: Redis, Postgres, the adapter of Socket.IO, other stores, and failures.'],
    drivers: ['Write a driver', 'Compare-and-set for a store that has none: an example, how to register it, and its tests.'],
    'threat-model': ['Threat model', 'Attacks on sessions and sockets, how the library protects you, and what is left to you.'],
    troubleshooting: ['Troubleshooting', 'Why a session is empty, and how to find the reason.'],
  }),
  section('The project', {
    internals: [
      'Internals',
      'For contributors: the folders, how a write and a handshake go through them, and the decisions with their reasons.',
    ],
    simulation: [
      'Simulation',
      'For contributors: a cluster in one process on simulated time, and how to reproduce a failure from its seed.',
    ],
  }),
]

export const pages = sections.flatMap((section) => section.pages)
