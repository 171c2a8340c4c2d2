import testing from './driver-testing.cjs'

export const { cases } = testing
