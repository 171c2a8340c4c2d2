import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import { it } from 'vitest'

/** Chromium, where the machine has it. */
export const executablePath = ['chromium', 'chromium-browser', 'google-chrome']
  .flatMap((name) => ['/usr/bin', ...(process.env.PATH ?? '').split(delimiter)].map((folder) => join(folder, name)))
  .find(existsSync)
const args = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
]

/** Says that the demos were not tried where there is no Chromium, and fails in CI. */
export function requireChromium(): void {
  if (executablePath) return
  console.log('There is no Chromium on this machine: the demo was not tried in a browser.')
  it.runIf(process.env.CI)('Chromium is there in CI', () => {
    throw new Error('In CI the demo must be tried in a browser: install chromium.')
  })
}

export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    ...(executablePath && { executablePath }),
    args: [...args, '--disable-component-update', '--disable-sync'],
  })
}
