export interface Block {
  /** The path of its page from the root, such as `docs/login.md`. */
  page: string
  line: number
  /** The first word of the comment before the block; undefined where there is none. */
  name: string | undefined
  isFile: boolean
  /** The other words of that comment. */
  marks: string[]
  language: string
  code: string
}

export function pages(): string[]
export function textOf(path: string): string
export function blocksOf(page: string): Block[]
