// One state for the process: an application that gets both entries still has one copy of the code, the CommonJS one.
export { postgresBus, SharedSessionError, sharedsession, sharedsession as default } from './api.cjs'
