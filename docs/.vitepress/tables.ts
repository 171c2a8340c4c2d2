import type { MarkdownRenderer } from 'vitepress'

/** Gives table cells with long texts the class `long`, by which style.css keeps them from becoming narrow. */
export function markLongCells(markdown: MarkdownRenderer): void {
  markdown.renderer.rules.td_open = (tokens, index, options, _env, renderer) => {
    const prose = tokens[index + 1]?.content.replace(/`[^`]*`|\]\([^)]*\)/g, '') ?? ''
    if (prose.length > 60) tokens[index]?.attrJoin('class', 'long')
    return renderer.renderToken(tokens, index, options)
  }
}
