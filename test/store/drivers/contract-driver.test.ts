import { expect, it, vi } from 'vitest'
import { ContractDriver } from '../../../src/store/drivers/contract-driver.js'
import type { StoreDriver, WriteAnswer } from '../../../src/store/drivers/store-driver.js'
import { Snapshot } from '../../../src/store/snapshot.js'
import { sample } from '../../driver-testing/sample.js'

const snapshot = Snapshot.fromSession({ cookie: { path: '/' }, user: 'ada' } as never)

it('a store in this process that does not say what it holds instead is read without a promise', () => {
  const driver = new ContractDriver({
    ...sample(),
    readNow: () => ({ text: '{"cookie":{"path":"/"},"user":"eve"}' }),
    writeNow: (): WriteAnswer => ({ written: false }),
  })
  const result = driver.writeNow?.('a', snapshot, undefined, 'extend')
  expect(result?.written).toBe(false)
  expect(result?.current?.data).toEqual({ user: 'eve' })
})

it('a driver that can only be read with a promise is written with one', async () => {
  const writeNow = vi.fn<NonNullable<StoreDriver['writeNow']>>()
  const driver = new ContractDriver({ ...sample(), writeNow })
  expect(driver.writeNow).toBeUndefined()
  expect(await driver.write('a', snapshot, undefined, 'extend')).toMatchObject({ written: true })
  expect(writeNow).not.toHaveBeenCalled()
})

it('a driver that cannot read many any more when it is asked to answers for those that it began to read', async () => {
  const found = { text: '{"cookie":{"path":"/"},"user":"ada"}' }
  let isReplaced = false
  const driver = new ContractDriver({
    ...sample(),
    get readMany() {
      return isReplaced ? undefined : async (sids: readonly string[]) => sids.map(() => found)
    },
  })
  const { readMany } = driver
  isReplaced = true
  expect((await readMany!(['a'])).map((snapshot) => snapshot?.data)).toEqual([{ user: 'ada' }])
})
