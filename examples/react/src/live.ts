import { mirror } from 'sharedsession/client'
import { io } from 'socket.io-client'
import type { Published } from '../server'

export const socket = io({ transports: ['websocket', 'polling'] })
export const live = mirror<Published>(socket, { renew: () => fetch('/session', { method: 'POST' }) })
