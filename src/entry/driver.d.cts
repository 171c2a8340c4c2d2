export {
  type Bus,
  type BusListener,
  type DriverFactory,
  type DriverMessage,
  IndeterminateWriteError,
  type NextSession,
  registerDriver,
  type StoreDriver,
  type StoredSession,
  type WriteAnswer,
} from './api.cjs'
