import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import dynalite from 'dynalite'

// The client warns of each Node that its newest versions will not run on.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true'

/** A server of DynamoDB's protocol in this process. It hands out nothing with a condition that was not met, as DynamoDB does. */
export async function startDynalite(): Promise<{ port: number; url: string; stop(): Promise<void> }> {
  const server: Server = dynalite({ createTableMs: 0 })
  // A request that meets the end of an idle connection is sent again by the client, and nobody knows then whether the first one was done.
  server.keepAliveTimeout = 120_000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
