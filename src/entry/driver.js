// As index.js does, and for its reason.
import driver from './driver.cjs'

export const { IndeterminateWriteError, registerDriver } = driver
