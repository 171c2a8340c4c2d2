import * as doctor from './doctor/index.js'

// Most processes never ask. The build puts the folder into a file of its own, and loads it at its first use.
export const loadDoctor = (): typeof doctor => doctor
