import { defineConfig } from 'vitepress'
import { checkLinks, linkToRepository, slugify } from './links.js'
import { writeLlmsTxt } from './llms.js'
import { pages, sections } from './pages.js'
import { base, description, repository } from './project.js'
import { markLongCells } from './tables.js'

export default defineConfig({
  title: 'sharedsession',
  description,
  lang: 'en',
  base,
  cleanUrls: true,
  // Vite and VitePress keep their caches beside other tools' caches.
  cacheDir: '../node_modules/.cache/vitepress',
  // The fonts are VitePress' own files: no page asks another host for anything.
  useWebFonts: false,
  head: [['link', { rel: 'icon', type: 'image/svg+xml', href: `${base}logo.svg` }]],
  markdown: {
    theme: { light: 'github-light', dark: 'github-dark' },
    anchor: { slugify },
    config(markdown) {
      linkToRepository(markdown)
      markLongCells(markdown)
    },
  },
  themeConfig: {
    logo: { src: '/logo.svg', alt: '' },
    nav: [
      { text: 'Getting started', link: '/getting-started' },
      { text: 'API', link: '/api' },
      { text: 'Changelog', link: `${repository}/blob/main/CHANGELOG.md` },
    ],
    sidebar: sections.map(({ title, pages }) => ({
      text: title,
      items: pages.map((page) => ({ text: page.title, link: `/${page.name}` })),
    })),
    outline: { level: [2, 3] },
    search: { provider: 'local' },
    editLink: { pattern: `${repository}/edit/main/docs/:path`, text: 'Edit this page' },
    socialLinks: [{ icon: 'github', link: repository }],
    externalLinkIcon: true,
    footer: { message: 'Released under the MIT License' },
  },
  transformPageData(page) {
    page.description = pages.find(({ name }) => `${name}.md` === page.relativePath)?.summary ?? description
  },
  async buildEnd({ outDir, pages, srcDir }) {
    await checkLinks(outDir, pages)
    await writeLlmsTxt(srcDir, outDir)
  },
})
