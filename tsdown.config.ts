import { defineConfig, type UserConfig } from 'tsdown'

/**
 * What runs in the page: a module of its own for each entry, which imports nothing but the peers, so that a page can load it from a CDN.
 */
const client: UserConfig = {
  format: ['esm', 'cjs'],
  platform: 'neutral',
  target: 'es2022',
  outputOptions: { comments: { annotation: true, jsdoc: false, legal: false } },
  tsconfig: 'src/client/tsconfig.json',
  dts: true,
  // The other types are those of the entry `client`, and not others of the same names.
  deps: { neverBundle: ['react', 'vue', 'sharedsession/client'] },
  clean: false,
}

/** What is a file of its own, which is loaded at its first use: the names that lazy-drivers.ts and lazy-doctor.ts import. */
const LAZY = { mongo: 'src/store/drivers/mongo/index.ts', sql: 'src/store/drivers/sql/index.ts', doctor: 'src/doctor/index.ts' }

export default defineConfig([
  {
    entry: {
      api: 'src/api.ts',
      'driver-testing': 'src/driver-testing/index.ts',
      dynamodb: 'src/store/drivers/dynamodb/driver.ts',
      ...LAZY,
    },
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    // Node reads each byte when it loads the file. The comments are in the sources and in the declarations.
    outputOptions: { exports: 'named', comments: false, chunkFileNames: 'shared.cjs' },
    dts: { entry: ['src/api.ts', 'src/driver-testing/index.ts', 'src/store/drivers/dynamodb/driver.ts'] },
    // The entries around it are written by hand: one copy of the code and of its types serves `import` and `require`.
    copy: [{ from: 'src/entry/*', to: 'dist' }],
    plugins: [
      {
        name: 'require',
        transform: {
          filter: { id: /lazy-modules\.ts$/ },
          handler: (code) => code.replace(/^import \{ createRequire \}.*$|^const require = .*$/gm, ''),
        },
      },
      {
        name: 'lazy',
        // As it is, and not by the folder of the source.
        resolveId: {
          filter: { id: new RegExp(`^\\./(${Object.keys(LAZY).join('|')})\\.cjs$`) },
          handler: (id) => ({ id, external: 'absolute' }),
        },
        transform: {
          filter: { id: /lazy-(drivers|doctor)\.ts$/ },
          handler: (code) =>
            code
              .replace(/^import \* as (\w+) from/gm, 'import type * as $1 from')
              .replace(/=> (\w+)$/gm, "=> require('./$1.cjs')"),
        },
      },
    ],
  },
  { ...client, entry: { client: 'src/client/index.ts' } },
  { ...client, entry: { react: 'src/client/react.ts' } },
  { ...client, entry: { vue: 'src/client/vue.ts' } },
  { ...client, entry: { testing: 'src/client/testing/index.ts' } },
])
