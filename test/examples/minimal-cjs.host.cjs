// Runs the example as it is, on a free port instead of its own, and shows the session by HTTP, which the example does not.
const http = require('node:http')
const net = require('node:net')

const { createServer } = http
let app
http.createServer = (listener) => {
  app = listener
  return createServer(listener)
}
http.Server.prototype.listen = function listen() {
  return net.Server.prototype.listen.call(this, 0, '127.0.0.1', () => {
    console.log(`http://127.0.0.1:${this.address().port}`)
  })
}
require('../../examples/minimal-cjs/server.cjs')
app.get('/', (req, res) => res.json({ userdata: req.session.userdata ?? null }))
