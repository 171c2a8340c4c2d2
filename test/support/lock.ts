import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

/** Runs one job at a time among all processes that name the same folder. A lock whose holder has died is taken over. */
export async function locked<T>(folder: string, job: () => Promise<T> | T): Promise<T> {
  mkdirSync(dirname(folder), { recursive: true })
  while (!taken(folder)) await pause(25)
  try {
    return await job()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function taken(folder: string): boolean {
  const holder = join(folder, 'pid')
  try {
    mkdirSync(folder)
    writeFileSync(holder, String(process.pid))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    if (abandoned(holder)) rmSync(folder, { recursive: true, force: true })
    return false
  }
}

function abandoned(holder: string): boolean {
  let pid: number
  try {
    pid = Number(readFileSync(holder, 'utf8'))
  } catch {
    // Taken a moment ago, and not signed yet.
    return false
  }
  try {
    if (pid > 0) process.kill(pid, 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}
