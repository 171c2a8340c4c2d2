import { build } from 'tsdown'

// Not by its command, which warns on each Node before 22.18: the lowest that this package supports is one of these.
await build({ logLevel: 'error', failOnWarn: true })
