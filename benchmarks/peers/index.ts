import { bare } from './bare.js'
import { esis } from './esis.js'
import type { Install, PeerName } from './peer.js'
import { recipe } from './recipe.js'
import { sharedsession } from './sharedsession.js'

export const peers: Record<PeerName, Install> = { bare, sharedsession, esis, recipe }
