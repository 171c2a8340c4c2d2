import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface Page {
  /** The file's name without `.md`. */
  name: string
  title: string
}

export const docs = fileURLToPath(new URL('..', import.meta.url))

const section = (title: string, pages: Record<string, string>) => ({
  title,
  pages: Object.entries(pages).map(([name, title]): Page => ({ name, title })),
})

/** All pages in the order in which the sidebar and llms.txt list them. */
export const sections = [
  section('Start here', {
    'getting-started': 'Getting started',
    guarantees: 'Guarantees',
    limits: 'Limits',
    benchmarks: 'Benchmarks',
  }),
  section('Guides', {
    login: 'Login and logout',
    'cookies-and-handshakes': 'Cookies and handshakes',
    merging: 'Merging',
    clusters: 'Stores and clusters',
    deployment: 'Deployment',
    recipes: 'Recipes',
    nestjs: 'NestJS',
    typescript: 'TypeScript',
    migration: 'Migration',
    troubleshooting: 'Troubleshooting',
  }),
  section('Reference', {
    api: 'API',
    'threat-model': 'Threat model',
  }),
]

export const read = (page: string) => readFileSync(`${docs}/${page}.md`, 'utf8')

/** The first sentence of a page as plain text. */
export function summaryOf(page: string): string {
  const paragraphs = read(page)
    .replace(/^---\n.*?^---\n/ms, '')
    .split(/\n{2,}/)
  const first = paragraphs.find((text) => /^[\w`*[]/.test(text)) ?? ''
  const plain = first
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/[`*]/g, '')
    .replace(/\s+/g, ' ')
    .trim()
  return plain.match(/^.*?[.!?](?= |$)/)?.[0] ?? plain.replace(/:$/, '.')
}
