// One state for the process: an application that gets both entries still has one copy of the code, the CommonJS one. It is imported as a
// whole, because for named imports Node would read all of it a second time, for its names.
import sharedsession from './index.cjs'

export const { postgresBus, SharedSessionError } = sharedsession
export { sharedsession, sharedsession as default }
