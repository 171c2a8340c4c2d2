// What the package weighs, packed and installed: fails above the limits. `npm run check:size`, after a build.
import { report } from './support.mjs'
import { LIMITS, weigh } from './weight.mjs'

const weight = await weigh()
await report(
  'sizes',
  Object.entries(LIMITS).map(([what, limit]) => [
    `${what}: ${weight[what]} bytes, at most ${limit}`,
    () => {
      if (weight[what] > limit)
        throw new Error('Over the limit. Raise it in scripts/weight.mjs only together with what needs it.')
    },
  ]),
)
