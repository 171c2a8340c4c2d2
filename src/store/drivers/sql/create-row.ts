import type { WriteAnswer } from '../store-driver.js'

/** How a row is created. */
interface Creation {
  insert(): Promise<boolean>
  /** Replaces a row whose end has passed. */
  replaceEnded(): Promise<boolean>
  isDuplicate(error: unknown): boolean
  /** What is there, as a driver reads it. */
  read(): Promise<WriteAnswer['stored']>
}

/**
 * Creates a row, unless it is there.
 * @returns whether it was written, and what is there instead
 * @throws the error of an index beside that of the ids: twice, the row that is said to be there was not
 */
export async function createRow({ insert, replaceEnded, isDuplicate, read }: Creation): Promise<WriteAnswer> {
  for (let isAgain = false; ; isAgain = true) {
    try {
      if (await insert()) return { written: true }
    } catch (error) {
      if (!isDuplicate(error)) throw error
      if (await replaceEnded()) return { written: true }
      const stored = await read()
      if (stored) return { written: false, stored }
      if (isAgain) throw error
      continue
    }
    return { written: false, stored: await read() }
  }
}
