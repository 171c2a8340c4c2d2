import type { Server } from 'socket.io'
import type { Bus, BusListener } from './contract.js'

/** Placeholder. */
export class AdapterBus implements Bus {
  constructor(readonly io: Server) {}
  start(_listener: BusListener): void {}
  async subscribe(_topic: string): Promise<void> {}
  unsubscribe(_topic: string): void {}
  publish(_topic: string, _text: string): void {}
  close(): void {}
}

export function reachesOthers(_io: Server): boolean {
  return false
}
