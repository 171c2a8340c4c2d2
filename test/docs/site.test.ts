import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createMarkdownRenderer } from 'vitepress'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkLinks, linkToRepository, slugify } from '../../docs/.vitepress/links.js'
import { pages } from '../../docs/.vitepress/pages.js'

const listed = pages.map(({ name }) => name)

// VitePress makes one renderer in a process.
const renderer = createMarkdownRenderer('docs', { anchor: { slugify }, config: linkToRepository })
const render = async (markdown: string) => (await renderer).render(markdown, { relativePath: 'limits.md' })

describe('links between pages of the built site', () => {
  let folder: string
  let html: Record<string, string>

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sharedsession-site-'))
    html = Object.fromEntries(['index', ...listed].map((name) => [name, '<h2 id="options">']))
  })
  afterEach(() => rm(folder, { recursive: true }))

  async function check(): Promise<void> {
    for (const [name, text] of Object.entries(html)) {
      await mkdir(dirname(join(folder, name)), { recursive: true })
      await writeFile(join(folder, `${name}.html`), text)
    }
    await checkLinks(
      folder,
      Object.keys(html).map((name) => `${name}.md`),
    )
  }

  it('pass where each heading is there', async () => {
    html.limits =
      '<h2 id="own"><a class="header-anchor" href="#own"><a href="./api#options"><a href="./#options"><a href="https://a.test/#b">'
    await expect(check()).resolves.toBeUndefined()
  })

  it.each(['./api#missing', '#missing', './#missing', './api.html#missing'])(
    'fail the build where no heading has the id of %s',
    async (link) => {
      html.limits = `<a href="${link}">`
      await expect(check()).rejects.toThrow(`limits.md has a dead link: ${link}`)
    },
  )

  it('fail the build where the sidebar lists a page that does not exist', async () => {
    delete html.limits
    await expect(check()).rejects.toThrow('The sidebar has a dead link: limits')
  })

  it('fail the build where the sidebar lacks a page', async () => {
    html.unlisted = ''
    await expect(check()).rejects.toThrow('The sidebar lacks unlisted.md')
  })
})

describe('links from a page to files of the repository', () => {
  it('lead to the forge', async () => {
    const html = await render('[source](../src/index.ts#L1), [page](api.md), [heading](#own)')
    expect(html).toContain('href="https://github.com/sharedsession/sharedsession/blob/main/src/index.ts#L1"')
    expect(html).toContain('href="./api.html"')
    expect(html).toContain('href="#own"')
  })

  it.each(['../src/missing.ts', 'https://github.com/sharedsession/sharedsession/blob/main/missing.md'])(
    'fail the build where %s does not exist',
    async (link) => {
      await expect(render(`[source](${link})`)).rejects.toThrow(`limits.md has a dead link: ${link}`)
    },
  )
})

it.each([
  ['Options', 'options'],
  ['`session:changed` and its fields', 'sessionchanged-and-its-fields'],
  ["What's in a session?", 'whats-in-a-session'],
  ['attach() or use() - which one', 'attach-or-use---which-one'],
])('the heading %s has the anchor of the forge', async (heading, anchor) => {
  expect(await render(`## ${heading}`)).toContain(`id="${anchor}"`)
})
