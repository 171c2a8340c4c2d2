// One state for the process: an application that gets both entries still has one copy of the code, the CommonJS one.
export { SharedSessionError, sharedsession, sharedsession as default } from './api.cjs'
