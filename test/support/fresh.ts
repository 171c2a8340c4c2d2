import { vi } from 'vitest'

// A test process runs one file after the other, as loading Express, Socket.IO and the databases' clients takes most of the time of a
// small file. What is ours is loaded anew for each file, so that none meets what another left in it.
vi.resetModules()
vi.useRealTimers()
vi.unstubAllGlobals()
