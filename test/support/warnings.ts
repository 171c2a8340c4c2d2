import type { ChildProcess } from 'node:child_process'
import { format } from 'node:util'

/** A warning, a deprecation, or what was written to the console or to a child's standard error. */
interface Emitted {
  message: string
  /** Of which test it came. */
  test: string
  /** `Name [CODE]: message` */
  text: string
}

interface Expected {
  what: string | RegExp
  messages: string[]
}

interface Watch {
  /** What came since the last check. */
  emitted: Emitted[]
  /** What came before it, in this process. */
  earlier: Emitted[]
  expected: Expected[]
  /** The running test. */
  test: string
  add(warning: { name: string; code?: string; message: string }): void
}

// On the process, as test files share one while each has its own copy of this module.
const KEY = Symbol.for('sharedsession.test.warnings')
const holder = globalThis as { [KEY]?: Watch }

/**
 * The running test provokes this warning. Any other one fails it, and so does this one where it does not come.
 * @param what a part of `Name [CODE]: message`, or a pattern for it
 * @returns the messages that have come, which grows
 */
export function expectWarning(what: string | RegExp): string[] {
  const { earlier, emitted, expected } = watch()
  const warnings = [...earlier.filter(comesOnce), ...emitted].filter((warning) => fits(warning, what))
  const messages = warnings.map(({ message }) => message)
  expected.push({ what, messages })
  return messages
}

/** From now on warnings and errors on the console count too. Each test file has a console of its own. */
export function watchConsole(): void {
  const { add } = watch()
  for (const level of ['warn', 'error'] as const) {
    console[level] = (...args) => add({ name: `console.${level}`, message: format(...args) })
  }
}

/** What a child process writes to its standard error counts as well. A benchmark, which has no tests, passes it on. */
export function watchErrorOutput(child: string, { stderr }: ChildProcess): void {
  const state = holder[KEY]
  if (!state) stderr?.pipe(process.stderr)
  else stderr?.on('data', (chunk) => state.add({ name: `standard error of ${child}`, message: String(chunk).trim() }))
}

/** Names the running test; what comes from now on is its own. */
export function warningsOf(test: string): void {
  watch().test = test
}

/** What is wrong with the warnings since the last check; `undefined` for nothing. */
export function checkWarnings(): string | undefined {
  const state = watch()
  const { emitted, earlier, expected } = state
  const unexpected = emitted.filter((warning) => !expected.some(({ what }) => fits(warning, what)))
  const missing = expected.filter(({ messages }) => messages.length === 0)
  earlier.push(...emitted)
  state.emitted = []
  state.expected = []
  const lines = [
    ...unexpected.map(({ text, test }) => `A warning that no test expects came in "${test}":\n  ${text}`),
    ...missing.map(({ what }) => `An expected warning did not come: ${what}`),
  ]
  return lines.length > 0 ? lines.join('\n') : undefined
}

function watch(): Watch {
  holder[KEY] ??= install()
  return holder[KEY]
}

/**
 * A test that expects such a warning may be the second one to provoke it, so that an earlier one counts. From the sources, the set-up
 * makes each test the first; what is built, and depd, cannot be made to forget.
 */
function comesOnce({ text }: Emitted): boolean {
  return text.startsWith('DeprecationError')
}

function fits({ text }: Emitted, what: string | RegExp): boolean {
  return typeof what === 'string' ? text.includes(what) : what.test(text)
}

function install(): Watch {
  const state: Watch = {
    emitted: [],
    earlier: [],
    expected: [],
    test: 'the set-up of the first test',
    add({ name, code, message }) {
      const warning = { message, test: state.test, text: `${name}${code ? ` [${code}]` : ''}: ${message}` }
      state.emitted.push(warning)
      for (const { what, messages } of state.expected) if (fits(warning, what)) messages.push(message)
    },
  }
  // Node's own listener prints them.
  for (const listener of process.listeners('warning')) if (listener.name === 'onWarning') process.off('warning', listener)
  process.on('warning', state.add)
  // Of the package depd, which prints where nothing listens: express-session and Express use it.
  process.on('deprecation' as 'warning', state.add)
  return state
}
