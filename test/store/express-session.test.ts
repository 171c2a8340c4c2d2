import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import express from 'express'
import expressSession, { MemoryStore } from 'express-session'
import { describe, expect, it } from 'vitest'
import { isExpressSession, makesPlainSessions } from '../../src/store/express-session.js'

const OPTIONS = { secret: 's', resave: false, saveUninitialized: false }
const path = createRequire(import.meta.url).resolve('express-session')

/** express-session as a bundler leaves it: without comments and white space, its variables renamed. */
function minified(): typeof expressSession {
  let code = readFileSync(path, 'utf8')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/^\s*\/\/.*$/gm, '')
    .replace(/\n\s+/g, '\n')
  for (const [index, name] of ['req', 'res', 'next', 'secrets', 'cookieId', 'shouldSave', 'opts'].entries()) {
    code = code.replace(new RegExp(`(?<![.\\w])${name}\\b`, 'g'), `$${index}`)
  }
  const module = { exports: {} }
  new Function('require', 'exports', 'module', code)(createRequire(path), module.exports, module)
  return module.exports as typeof expressSession
}

describe('isExpressSession()', () => {
  it('recognizes what express-session returns, also minified', () => {
    expect(isExpressSession(expressSession(OPTIONS))).toBe(true)
    const session = minified()(OPTIONS)
    expect(String(session)).not.toBe(String(expressSession(OPTIONS)))
    expect(isExpressSession(session)).toBe(true)
  })

  it('recognizes nothing else: wrappers, bound functions, routers, proxies', () => {
    const session = expressSession(OPTIONS)
    const wrappers: ((...args: any[]) => unknown)[] = [
      (req: any, res: any, next: any) => session(req, res, next),
      async (req: any, res: any, next: any) => session(req, res, next),
      session.bind(null),
      express.Router().use(session),
      new Proxy(session, {}),
      // With a look at what express-session sets.
      (req: any, res: any, next: any) => session(req, res, () => next(req.session && undefined)),
    ]
    for (const wrapper of wrappers) expect(isExpressSession(wrapper), String(wrapper)).toBe(false)
  })
})

describe('makesPlainSessions()', () => {
  it('is true for a store with express-session’s own createSession()', () => {
    expect(makesPlainSessions(new MemoryStore())).toBe(true)
  })

  it('is false for one with another createSession(), of its class or its own', () => {
    class Special extends MemoryStore {
      override createSession(...args: Parameters<MemoryStore['createSession']>) {
        return Object.assign(super.createSession(...args), { special: true })
      }
    }
    expect(makesPlainSessions(new Special())).toBe(false)
    const store = new MemoryStore()
    const { createSession } = store
    store.createSession = (...args) => createSession.apply(store, args)
    expect(makesPlainSessions(store)).toBe(false)
  })
})
