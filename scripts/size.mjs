// What the package weighs, packed and installed, and what a page loads of it: fails above the limits. `npm run check:size`, after a build.
import { report } from './support.mjs'
import { LIMITS, PAGE_LIMITS, weigh, weighPage } from './weight.mjs'

const limits = { ...LIMITS, ...PAGE_LIMITS }
const weight = await weigh()
for (const what of Object.keys(PAGE_LIMITS)) weight[what] = await weighPage(what)
await report(
  'sizes',
  Object.entries(limits).map(([what, limit]) => [
    `${what}: ${weight[what]} bytes, at most ${limit}`,
    () => {
      if (weight[what] > limit)
        throw new Error('Over the limit. Raise it in scripts/weight.mjs only together with what needs it.')
    },
  ]),
)
