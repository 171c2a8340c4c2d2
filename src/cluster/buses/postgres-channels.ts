import { hashSlot } from './hash-slot.js'

/** How many channels there are. Each process listens to those of its sessions, and gets messages of other sessions there as well. */
const CHANNELS = 64
/** Postgres takes payloads shorter than 8000 bytes. */
const LONGEST = 7999
/** The longest topic, and the space after it. */
const ADDRESS = 61

/** The longest message that a notification can carry, in bytes. */
export const MAX_TEXT = LONGEST - ADDRESS

/** The channel of a topic. */
export function channelOf(topic: string): string {
  return `sharedsession_${hashSlot(topic) % CHANNELS}`
}

/** The payload of NOTIFY; {@link partsOf} takes it apart. */
export function payloadOf(topic: string, text: string): string {
  return `${topic} ${text}`
}

export function partsOf(payload: string): { topic: string; text: string } {
  const space = payload.indexOf(' ')
  return { topic: payload.slice(0, Math.max(0, space)), text: payload.slice(space + 1) }
}
