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
 * @param isAgain the row was said to be there, and was not
 * @returns whether it was written, and what is there instead
 * @throws the error of an index beside that of the ids: twice, the row that is said to be there was not
 */
export async function createRow(creation: Creation, isAgain = false): Promise<WriteAnswer> {
  const { insert, replaceEnded, isDuplicate, read } = creation
  try {
    if (await insert()) return { written: true }
  } catch (error) {
    if (!isDuplicate(error)) throw error
    if (await replaceEnded()) return { written: true }
    const stored = await read()
    if (stored) return { written: false, stored }
    if (isAgain) throw error
    return createRow(creation, true)
  }
  return { written: false, stored: await read() }
}
