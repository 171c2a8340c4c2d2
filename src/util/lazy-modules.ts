import { createRequire } from 'node:module'
import type cookieParser from 'cookie-parser'
import type createDebug from 'debug'
import type expressSession from 'express-session'
import type { Immer } from 'immer'

// The build replaces it by the `require` of the CommonJS file, which bundlers follow.
const require = createRequire(import.meta.url)

// Modules that are loaded at their first use: most processes load this package and never need them, or load them later by themselves.
export const loadCookieParser = (): typeof cookieParser => require('cookie-parser')
export const loadDebug = (): typeof createDebug => require('debug')
export const loadExpressSession = (): typeof expressSession => require('express-session')
export const loadImmer = (): { Immer: typeof Immer } => require('immer')
