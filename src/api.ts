// All that the entries of the package export: one file, so that there is one copy of the code.

export * from './driver.js'
export * from './index.js'
