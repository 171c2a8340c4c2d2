const SLOTS = 16_384

/** CRC16/XMODEM of the part of a key that Redis Cluster looks at, modulo the number of slots: "Redis cluster specification", appendix A. */
export function hashSlot(key: string): number {
  const begin = key.indexOf('{')
  const end = key.indexOf('}', begin + 1)
  const hashed = Buffer.from(begin >= 0 && end > begin + 1 ? key.slice(begin + 1, end) : key)
  let crc = 0
  for (const byte of hashed) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = ((crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff) >>> 0
  }
  return crc % SLOTS
}

let tags: string[] | undefined

/** A short text in that slot: what stands for a key where the key itself must not be shown. */
export function hashTagFor(slot: number): string {
  tags ??= allTags()
  return tags[slot] as string
}

function allTags(): string[] {
  const found: string[] = new Array(SLOTS)
  let missing = SLOTS
  for (let n = 0; missing > 0; n++) {
    const tag = n.toString(36)
    const slot = hashSlot(tag)
    if (found[slot] !== undefined) continue
    found[slot] = tag
    missing--
  }
  return found
}
