import { hashSlot } from '../redis/hash-slot.js'
import type { DriverMessage } from '../store-driver.js'

/** How many channels there are. Each process listens to those of its sessions, and ignores the messages of others there. */
const CHANNELS = 64
/** Postgres takes payloads shorter than 8000 bytes. */
const MAX_PAYLOAD = 7999
/** The longest topic, and the space after it. */
const ADDRESS = 61

/** The longest text that a notification can carry, in bytes. */
export const MAX_TEXT = MAX_PAYLOAD - ADDRESS

/** The channel that carries a topic. */
export function channelOf(topic: string): string {
  return `sharedsession_${hashSlot(topic) % CHANNELS}`
}

/** The payload of a NOTIFY. {@link partsOf} is its inverse. */
export function payloadOf(topic: string, text: string): string {
  return `${topic} ${text}`
}

export function partsOf(payload: string): { topic: string; text: string } {
  const space = payload.indexOf(' ')
  return { topic: payload.slice(0, Math.max(0, space)), text: payload.slice(space + 1) }
}

/** None for a payload that is too long: the write would fail with it. */
export function notificationFor(message: DriverMessage | undefined): [channel: string, payload: string] | undefined {
  if (!message || Buffer.byteLength(message.text) > MAX_TEXT) return undefined
  return [channelOf(message.topic), payloadOf(message.topic, message.text)]
}
