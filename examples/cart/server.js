// @ts-check
import { createDemo } from './demo.js'

const demo = createDemo()

demo.server.listen(Number(process.env.PORT ?? 3000), () => {
  const address = demo.server.address()
  console.log(`The demo is at http://localhost:${typeof address === 'object' ? address?.port : address}`)
})

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    // Nothing is left to keep the process alive after this.
    demo.close().catch((error) => {
      console.error(error)
      process.exitCode = 1
    })
  })
}
