'use strict'

const { IndeterminateWriteError, registerDriver } = require('./api.cjs')

module.exports = { IndeterminateWriteError, registerDriver }
