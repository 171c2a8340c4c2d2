'use strict'

const { postgresBus, sharedsession, SharedSessionError } = require('./api.cjs')

module.exports = Object.assign(sharedsession, { postgresBus, SharedSessionError, sharedsession, default: sharedsession })
