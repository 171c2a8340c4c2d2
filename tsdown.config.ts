import { defineConfig } from 'tsdown'

export default defineConfig({
  entry: { api: 'src/index.ts' },
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  // Node reads each byte when it loads the file. The comments are in the sources and in the declarations.
  outputOptions: { exports: 'named', comments: false },
  dts: true,
  // The two entries around it are written by hand: one copy of the code and of its types serves `import` and `require`.
  copy: [{ from: 'src/entry/*', to: 'dist' }],
  plugins: [
    {
      name: 'require',
      transform: {
        filter: { id: /lazy-modules\.ts$/ },
        handler: (code) => code.replace(/^import \{ createRequire \}.*$|^const require = .*$/gm, ''),
      },
    },
  ],
})
