export * from './api.cjs'
export { sharedsession as default } from './api.cjs'
