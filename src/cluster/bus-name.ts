import { BUS_NAME, type Bus } from '../bus.js'
import { PostgresBus } from '../store/drivers/postgres/bus.js'
import { RedisBus } from '../store/drivers/redis/bus.js'
import type { Stats } from '../types.js'
import { AdapterBus } from './buses/socketio-adapter.js'

/** A bus as `stats()` names it. */
export function busName(bus: Bus | undefined): Stats['bus'] {
  if (!bus) return false
  if (bus instanceof AdapterBus) return 'adapter'
  if (bus instanceof PostgresBus) return 'postgres'
  if (BUS_NAME in bus) return 'mongodb'
  return bus instanceof RedisBus ? bus.publishedByDriver : 'own'
}
