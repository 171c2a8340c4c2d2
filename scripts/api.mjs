// Compares the public types of the built package with the report that is committed: `npm run check:api`, after a build.
// `npm run api` builds, and writes the report anew. So a review sees every change of the public types as a change of this file.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor'
import ts from 'typescript'
import { report, root, run, temporary } from './support.mjs'

const REPORT = join(root, 'test/types/sharedsession.api.md')
/** The entries of the package, and the files with their types. */
const ENTRIES = {
  sharedsession: 'dist/index.d.ts',
  'sharedsession/driver': 'dist/driver.d.ts',
  'sharedsession/driver/testing': 'dist/driver-testing.d.ts',
  'sharedsession/dynamodb': 'dist/dynamodb.d.ts',
}
const ENTRY = join(root, ENTRIES.sharedsession)
const TYPES = join(root, 'dist/api.d.cts')

/** The exported types, as API Extractor reports them. @param entry the file with the types of an entry */
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
function otherTypes() {
  const file = ts.createSourceFile(TYPES, readFileSync(TYPES, 'utf8'), ts.ScriptTarget.Latest, true)
  const exported = new Set(
    file.statements
      .filter(ts.isExportDeclaration)
      .flatMap(({ exportClause }) => exportClause.elements)
      .map(({ name, propertyName }) => (propertyName ?? name).text),
  )
  const printer = ts.createPrinter({ removeComments: true })
  return file.statements
    .filter((each) => !ts.isImportDeclaration(each) && !ts.isExportDeclaration(each) && !exported.has(each.name?.text))
    .map((each) => printer.printNode(ts.EmitHint.Unspecified, each, file))
    .sort()
}

/** As `git diff` shows it. */
async function difference(now) {
  const file = join(temporary('api-now'), 'now.md')
  writeFileSync(file, now)
  const { output } = await run('git', ['diff', '--no-index', '--no-color', '--unified=2', REPORT, file], { show: false })
  return output.slice(output.indexOf('@@'))
}

const write = process.argv.includes('--write')
await report('api', [
  [
    write ? 'the report is written' : 'the public types are those of the report',
    async () => {
      if (!existsSync(ENTRY)) throw new Error('There is no dist: run `npm run build` first.')
      const reports = Object.entries(ENTRIES).map(([name, file]) => `# ${name}\n\n${exportedTypes(join(root, file))}`)
      const now = [...reports, '## Not exported', '', '```ts', otherTypes().join('\n\n'), '```', ''].join('\n')
      if (write) writeFileSync(REPORT, now)
      else if (now !== readFileSync(REPORT, 'utf8')) {
        throw new Error(
          `${await difference(now)}\nThe public types are not those of ${relative(root, REPORT)}. ` +
            'If the change is intended, run `npm run api`, commit the report, and add a changeset (`npm run changeset`).',
        )
      }
    },
  ],
])
