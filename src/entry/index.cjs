'use strict'

const { sharedsession, SharedSessionError } = require('./api.cjs')

module.exports = Object.assign(sharedsession, { SharedSessionError, sharedsession, default: sharedsession })
