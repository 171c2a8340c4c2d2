import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

/** Bundles the code of a page, as its author's bundler would. It finds this package and React in the repository. */
export async function bundle(code: string, production = true): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: at('test'), loader: 'tsx' },
    bundle: true,
    write: false,
    format: 'esm',
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': production ? '"production"' : '"development"' },
    alias: {
      'sharedsession/client': at('src/client/index.ts'),
      'sharedsession/react': at('src/client/react.ts'),
      'sharedsession/vue': at('src/client/vue.ts'),
    },
  })
  return outputFiles[0]!.text
}
