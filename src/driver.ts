// The entry `sharedsession/driver`: how a kind of session store is written with compare-and-set.

export {
  type DriverFactory,
  type DriverMessage,
  IndeterminateWriteError,
  type NextSession,
  registerDriver,
  type StoreDriver,
  type StoredSession,
  type WriteAnswer,
} from './store/drivers/store-driver.js'
