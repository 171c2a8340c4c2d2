import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Worker } from './worker.js'

const run = promisify(execFile)

/** V8 compiles and collects on the thread that is counted, and hashes alike in every process. */
const REPEATABLE = ['--single-threaded', '--hash-seed=1', '--random-seed=1']

/** Whether this machine can count instructions. */
export function canCount(): boolean {
  return ['valgrind', 'callgrind_control'].every((command) => spawnSync(command, ['--version']).status === 0)
}

/** A process whose instructions are counted by callgrind: no other load of the machine is in these figures. */
export class CountedProcess<Offers extends object> {
  readonly worker: Worker<Offers>
  readonly #folder: string

  private constructor(worker: Worker<Offers>, folder: string) {
    this.worker = worker
    this.#folder = folder
  }

  /** @param config what the process's `serve` opens with */
  static async start<Offers extends object>(file: string, config: object): Promise<CountedProcess<Offers>> {
    const folder = mkdtempSync(join(tmpdir(), 'sharedsession-callgrind-'))
    const valgrind = ['--quiet', '--tool=callgrind', '--instr-atstart=no', `--callgrind-out-file=${join(folder, 'counts')}`]
    const command = { command: 'valgrind', args: [...valgrind, process.execPath] }
    return new CountedProcess(await Worker.start<Offers>(file, config, REPEATABLE, command), folder)
  }

  /** @returns the instructions of the process, outside of the kernel, while `work` is being done */
  async count(work: () => Promise<unknown>): Promise<number> {
    await this.#control('--instr=on')
    await work()
    await this.#control('--instr=off')
    await this.#control('--dump')
    const last = Math.max(...readdirSync(this.#folder).map((name) => Number(name.split('.')[1] ?? 0)))
    const dump = readFileSync(join(this.#folder, `counts.${last}`), 'utf8')
    return Number(/^totals: (\d+)/m.exec(dump)?.[1])
  }

  async stop(): Promise<void> {
    await this.worker.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #control(what: string): Promise<void> {
    await run('callgrind_control', [what, String(this.worker.pid)])
  }
}
