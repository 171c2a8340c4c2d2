// Compares the public types of the built package with the report that is committed: `npm run check:api`, after a build.
// `npm run api` builds, and writes the report anew. So a review sees every change of the public types as a change of this file.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor'
import ts from 'typescript'
import { report, root, run, temporary } from './support.mjs'

const at = (path) => join(root, path)

/** The entries of the package: their declarations, the file that has the types of an entry, and its report. */
const ENTRIES = [
  { entry: at('dist/index.d.ts'), types: at('dist/api.d.cts'), reported: at('test/types/sharedsession.api.md') },
  ...['client', 'react', 'vue', 'testing'].map((name) => ({
    entry: at(`dist/${name}.d.ts`),
    types: at(`dist/${name}.d.ts`),
    reported: at(`test/types/${name}.api.md`),
  })),
  ...['driver', 'driver-testing', 'dynamodb'].map((name) => ({
    entry: at(`dist/${name}.d.ts`),
    types: at(`dist/${name}.d.cts`),
    reported: at(`test/types/${name}.api.md`),
  })),
]

/** The exported types, as API Extractor reports them. */
function exportedTypes(entry) {
  const folder = temporary('api')
  const reportFileName = 'report.api.md'
  const compilerOptions = { target: 'es2022', module: 'nodenext', types: ['node'], strict: true, skipLibCheck: true }
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: entry,
      compiler: { overrideTsconfig: { compilerOptions, files: [entry] } },
      apiReport: { enabled: true, reportFileName, reportFolder: folder, reportTempFolder: join(folder, 'temporary') },
      docModel: { enabled: false },
      tsdocMetadata: { enabled: false },
      newlineKind: 'lf',
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: join(root, 'package.json'),
  })
  const problems = []
  Extractor.invoke(config, {
    localBuild: true,
    messageCallback(message) {
      if (message.logLevel === 'error') problems.push(message.formatMessageWithLocation(root))
      message.handled = true
    },
  })
  if (problems.length > 0) throw new Error(problems.join('\n'))
  return withoutComments(readFileSync(join(folder, reportFileName), 'utf8'))
}

/** A comment within a type literal gets into the report, and is no type. */
const withoutComments = (text) => text.replaceAll(/ *\/\*\*.*?\*\//gs, '')

/** What API Extractor leaves out: types that are used and not exported, and those that are added to other packages. */
function otherTypes(types) {
  const file = ts.createSourceFile(types, readFileSync(types, 'utf8'), ts.ScriptTarget.Latest, true)
  const exported = new Set(
    file.statements
      .filter(ts.isExportDeclaration)
      .flatMap(({ exportClause }) => exportClause?.elements ?? [])
      .map(({ name, propertyName }) => (propertyName ?? name).text),
  )
  const printer = ts.createPrinter({ removeComments: true })
  return file.statements
    .filter((each) => !ts.isImportDeclaration(each) && !ts.isExportDeclaration(each) && !exported.has(each.name?.text))
    .map((each) => printer.printNode(ts.EmitHint.Unspecified, each, file))
    .sort()
}

/** As `git diff` shows it. */
async function difference(reported, now) {
  const file = join(temporary('api-now'), 'now.md')
  writeFileSync(file, now)
  const { output } = await run('git', ['diff', '--no-index', '--no-color', '--unified=2', reported, file], { show: false })
  return output.slice(output.indexOf('@@'))
}

const write = process.argv.includes('--write')
await report(
  'api',
  ENTRIES.map(({ entry, types, reported }) => [
    write ? `${relative(root, reported)} is written` : `the public types are those of ${relative(root, reported)}`,
    async () => {
      if (!existsSync(entry)) throw new Error('There is no dist: run `npm run build` first.')
      const now = [exportedTypes(entry), '## Not exported', '', '```ts', otherTypes(types).join('\n\n'), '```', ''].join('\n')
      if (write) writeFileSync(reported, now)
      else if (!existsSync(reported) || now !== readFileSync(reported, 'utf8')) {
        throw new Error(
          `${existsSync(reported) ? await difference(reported, now) : ''}\nThe public types are not those of ${relative(root, reported)}. ` +
            'If the change is intended, run `npm run api`, commit the report, and add a changeset (`npm run changeset`).',
        )
      }
    },
  ]),
)
