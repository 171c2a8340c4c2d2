export { type ConformanceCase, conformance } from './conformance.js'
export { FakeServerSide, FakeSocket, type Question } from './fake-connection.js'
export { FakeServer, fakeSocket } from './fake-socket.js'
export type { ConformanceClient } from './scene.js'
