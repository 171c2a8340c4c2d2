import cookieParser from 'cookie-parser'
import expressSession from 'express-session'
import { describe, expect, it } from 'vitest'
import sharedsession, { sharedsession as named } from '../src/index.js'
import { express } from './support/app.js'

const session = expressSession({ secret: 's', resave: false, saveUninitialized: false })
const call = sharedsession as (...args: any[]) => any

describe('an argument that is no session middleware throws BAD_ARGUMENT at once, and says what to pass', () => {
  const cases: [string, () => any, RegExp][] = [
    ['nothing', () => undefined, /takes the middleware that express-session returns; it was given nothing/],
    ['null', () => null, /given null/],
    ['options', () => ({ secret: 's' }), /given an object/],
    ['a string', () => 'session', /given a string/],
    ['express-session itself', () => expressSession, /express-session itself.*Call it first/],
    ['an Express app', () => express(), /Express app or router.*app\.use\(session\)/],
    ['an Express router', () => express.Router(), /Express app or router/],
  ]
  for (const [what, given, message] of cases) {
    it(what, () => {
      expect(() => call(given())).toThrow(
        expect.objectContaining({ name: 'SharedSessionError', code: 'BAD_ARGUMENT', message: expect.stringMatching(message) }),
      )
    })
  }

  it('a second argument that is neither a cookie parser nor options', () => {
    expect(() => call(session, 'secret')).toThrow(
      expect.objectContaining({
        code: 'BAD_ARGUMENT',
        message: expect.stringMatching(/cookie parser or options; it was given a string/),
      }),
    )
  })

  it('a cookie parser that was not called', () => {
    const BAD_ARGUMENT = { code: 'BAD_ARGUMENT', message: expect.stringMatching(/Call the factory first.*cookieParser\(\)/) }
    expect(() => call(session, cookieParser)).toThrow(expect.objectContaining(BAD_ARGUMENT))
    expect(() => call(session, cookieParser, { autoSave: true })).toThrow(expect.objectContaining(BAD_ARGUMENT))
    expect(() => call(session, (_secret: string) => cookieParser())).toThrow(expect.objectContaining(BAD_ARGUMENT))
    // A middleware around one may take any arguments.
    expect(call(session, (...args: Parameters<ReturnType<typeof cookieParser>>) => cookieParser()(...args))).toBeTypeOf(
      'function',
    )
  })

  it('a third argument after options: the cookie parser comes before them', () => {
    for (const third of [cookieParser('s'), { autoSave: true }]) {
      expect(() => call(session, { autoSave: true }, third)).toThrow(
        expect.objectContaining({ code: 'BAD_ARGUMENT', message: expect.stringMatching(/cookie parser as its second argument/) }),
      )
    }
  })

  it('options that are no object, as the second or third argument: BAD_OPTION', () => {
    expect(() => call(session, undefined, 'autoSave')).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
    expect(() => call(session, cookieParser(), 3)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
  })
})

describe('the calls of the superseded package', () => {
  for (const [how, args] of [
    ['(session)', [session]],
    ['(session, options)', [session, { autoSave: true }]],
    ['(session, cookieParser, options)', [session, cookieParser('s'), { autoSave: true }]],
    ['(session, undefined, options)', [session, undefined, { autoSave: true }]],
    ['(session, null, null)', [session, null, null]],
    ['(session, options, null)', [session, { autoSave: true }, null]],
  ] as const) {
    it(`${how} gives a namespace middleware named after the package`, () => {
      const shared = call(...args)
      expect(shared).toBeTypeOf('function')
      expect(shared.name).toBe('sharedsession')
      expect(shared).toHaveLength(2)
    })
  }

  it('sharedsession is exported by name and as the default', () => {
    expect(named).toBe(sharedsession)
  })
})
