import * as mongo from './mongo/index.js'
import * as sql from './sql/index.js'

// Drivers that most processes do not need. The build puts each folder into a file of its own, and loads it at its first use: it replaces the
// imports of this file by `require`.
export const loadSqlDrivers = (): typeof sql => sql
export const loadMongoDrivers = (): typeof mongo => mongo
