export * from './driver-testing.cjs'
