import type { Socket } from 'socket.io'
import { MIRROR_EVENT, type MirrorFrame } from '../../client/protocol.js'
import { debug } from '../../debug.js'

/** A frame as Engine.IO takes it: with the usual parser, one string. */
export type EncodedFrame = readonly unknown[]

/** A packet in Engine.IO's buffer. */
interface EnginePacket {
  options?: object
  data?: unknown
}

/** What socket.io and Engine.IO have and declare private. */
interface ClientInternals {
  readonly encoder: { encode(packet: object): EncodedFrame }
  _packet(encoded: EncodedFrame, options: object): void
  readonly conn: { readonly writeBuffer?: readonly EnginePacket[] }
}

const EVENT = 2

export function encodeFrame({ client, nsp }: Socket, frame: MirrorFrame): EncodedFrame {
  return internalsOf(client).encoder.encode({ type: EVENT, nsp: nsp.name, data: [MIRROR_EVENT, frame] })
}

/**
 * Writes a frame straight to the client. Not by `socket.emit()`: connection state recovery would send it again.
 *
 * A transport that takes no more leaves the packet in Engine.IO's buffer. The frame is then made when the transport takes it: until then there is one
 * packet for all that changes, and it stays before the acks that are written after it.
 * @param remake makes the frame anew; it is called once, if at all
 * @returns whether the packet waits
 */
export function writeFrame(socket: Socket, encoded: EncodedFrame, remake: () => EncodedFrame): boolean {
  const client = internalsOf(socket.client)
  const options = { preEncoded: true, compress: true }
  try {
    client._packet(encoded, options)
  } catch (cause) {
    // A listener of the application's on the connection.
    debug('a frame of a mirror could not be written: %s', (cause as Error | undefined)?.message)
    return false
  }
  const packet = client.conn.writeBuffer?.at(-1)
  if (packet?.options !== options || encoded.length !== 1) return false
  let data: unknown
  Object.defineProperty(packet, 'data', {
    get: () => {
      data ??= remake()[0]
      return data
    },
    enumerable: true,
    configurable: true,
  })
  return true
}

function internalsOf(client: Socket['client']): ClientInternals {
  return client as unknown as ClientInternals
}
