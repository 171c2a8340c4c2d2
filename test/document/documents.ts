import fc from 'fast-check'
import type { JsonObject } from '../../src/document/json.js'
import type { Any } from './harness.js'

const { object } = fc.letrec<{ value: Any; object: JsonObject }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.integer({ min: 0, max: 3 }),
    fc.constantFrom('a', null, true),
    fc.array(tie('value')),
    tie('object'),
  ),
  object: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'id', 'key', '_id'), tie('value')) as fc.Arbitrary<Any>,
}))

/** Small random documents that have much in common, so that elements are found again. */
export const documents = object
