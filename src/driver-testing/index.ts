// The entry `sharedsession/driver/testing`: what each driver has to do, as cases for any test runner.

export { cases, type DriverCase } from './cases.js'
export type { DriverFixture, DriverNetwork, TestedStore } from './fixture.js'
