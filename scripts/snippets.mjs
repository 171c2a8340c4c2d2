// Compiles the code blocks of README.md, CONTRIBUTING.md and docs/, and the examples, against the packed package. Every block of
// TypeScript or JavaScript is compiled, but for those that `notCompiled` names. scripts/markdown.mjs says how a block is marked.
// A block without an import or a require gets the prelude. A function is put around the block that has it, so the block may
// declare the prelude's names anew, and may use await.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { blocksOf, pages } from './markdown.mjs'
import { manifest, must, pack, reportInStages, root, run, temporary } from './support.mjs'

/** What only a snippet needs. It is installed where one imports it, and never in this repository. */
const extras = {
  '@angular/core': '^22.0.0',
  '@aws-sdk/client-dynamodb': '^3.1000.0',
  '@preact/signals-core': '^1.14.0',
  '@vitejs/plugin-react': '^6.0.0',
  '@socket.io/cluster-adapter': '^0.3.0',
  '@nestjs/common': '^11.0.0',
  '@nestjs/core': '^11.0.0',
  '@nestjs/platform-express': '^11.0.0',
  '@nestjs/platform-socket.io': '^11.0.0',
  '@nestjs/websockets': '^11.0.0',
  'connect-dynamodb': '^3.0.0',
  'connect-mongo': '^6.0.0',
  'connect-redis': '^9.0.0',
  'connect-session-knex': '^5.0.0',
  knex: '^3.1.0',
  mongodb: '^7.0.0',
  passport: '^0.7.0',
  'passport-local': '^1.0.0',
  'reflect-metadata': '^0.2.0',
  redis: '^6.0.0',
  rxjs: '^7.8.0',
  'session-file-store': '^1.5.0',
  'solid-js': '^1.9.0',
  vite: '^8.0.0',
}
const needs = {
  'connect-mongo': ['mongodb'],
  '@nestjs/platform-socket.io': ['@nestjs/common', '@nestjs/core', '@nestjs/websockets', 'reflect-metadata', 'rxjs'],
}

/** Blocks that cannot be compiled, by name, and why. */
const notCompiled = {
  'driver-option': 'uses the driver of the block before; test/docs runs it',
  'driver-register': 'the same',
  'driver-cases': 'the same',
  migration: 'old JavaScript that writes undeclared keys to the session; test/docs runs it',
}

function snippetsOf(page) {
  return blocksOf(page)
    .filter(({ language }) => ['ts', 'tsx', 'js'].includes(language))
    .map(({ code, language, line, marks, name, isFile }) => ({
      name: `${page}:${line}`,
      folder: page.replace(/\.md$/, ''),
      language,
      code,
      label: name,
      run: marks.includes('run'),
      prelude: marks.includes('prelude') || !/^import\s|\brequire\(/m.test(code),
      file: isFile ? name : undefined,
      commonjs: /\brequire\(/.test(code) && !/^import\s/m.test(code),
    }))
}

/** The block as a file of its own, in a folder of its page. */
function write(block, number, folder) {
  const extension = `${block.commonjs ? 'c' : 'm'}${block.language}`
  const name = join(block.folder, block.file ?? `${block.name.replace(/\W+/g, '-')}-${number}.${extension}`)
  let code = block.code
  if (block.prelude) {
    const hoisted = /^(?:import\s.*?['"]$|declare module .*?^}$)/gms
    const top = (code.match(hoisted) ?? []).join('\n')
    code = [
      readFileSync(join(root, 'test/package/prelude.ts'), 'utf8'),
      top,
      'async function snippet() {',
      code.replace(hoisted, ''),
      '}',
    ].join('\n')
  }
  // A block of JavaScript with a prelude is checked as TypeScript, which it is a part of.
  const written = block.prelude ? name.replace(/js$/, 'ts') : name
  mkdirSync(join(folder, dirname(written)), { recursive: true })
  writeFileSync(join(folder, written), code)
  return written
}

const packed = await pack()
const folder = temporary('snippets')
const blocks = [...pages(), 'CONTRIBUTING.md'].flatMap(snippetsOf)
for (const name of Object.keys(notCompiled)) {
  if (!blocks.some(({ label }) => label === name)) throw new Error(`No block is named ${name}: take it out of notCompiled.`)
}
const isCompiled = ({ label }) => !Object.hasOwn(notCompiled, label ?? '')
const compiled = blocks.filter(isCompiled)
const examples = existsSync(join(root, 'examples')) ? readdirSync(join(root, 'examples')) : []
const files = new Map(compiled.map((block, number) => [block, write(block, number, folder)]))

const examplesCode = examples.flatMap((name) => {
  const from = join(root, 'examples', name)
  return readdirSync(from)
    .filter((file) => /\.[cm]?[jt]s$/.test(file))
    .map((file) => ({ code: readFileSync(join(from, file), 'utf8') }))
})
const imported = new Set(
  [...compiled, ...examplesCode]
    .flatMap(({ code }) => [...code.matchAll(/(?:from|require\(|import\(?)\s*['"]([^'".][^'"]*)['"]/g)])
    .map(([, id]) => id.split('/', id.startsWith('@') ? 2 : 1).join('/'))
    .flatMap((id) => [id, ...(needs[id] ?? [])]),
)
const own = { ...manifest.devDependencies, ...manifest.dependencies }
const dependencies = {
  ...Object.fromEntries(
    Object.entries(own).filter(([name]) => /^(@types\/|express|socket\.io|cookie-parser|supertest|vitest|react)/.test(name)),
  ),
  ...Object.fromEntries(Object.entries(extras).filter(([name]) => imported.has(name))),
  // The fastest compiler: each block is a program of its own. scripts/consumers.mjs compiles by others.
  typescript: '~7.0.0',
  sharedsession: `file:${packed}`,
}
writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module', dependencies }))

const tsc = (project) =>
  must(process.execPath, ['node_modules/typescript/bin/tsc', '-p', project, '--pretty', 'false'], { cwd: folder })

function compileSnippet(block) {
  const file = files.get(block)
  const project = `tsconfig.${file.replaceAll(/\W/g, '-')}.json`
  const isScript = /\.[cm]?js$/.test(file)
  const compilerOptions = {
    ...{
      target: 'es2022',
      module: 'nodenext',
      lib: ['es2023', 'dom', 'dom.iterable'],
      jsx: 'react-jsx',
      types: ['node'],
      rootDir: '.',
      outDir: 'out',
    },
    // Declarations must be right, as far as they are the package's: other packages' are not this test's business.
    ...{
      strict: !isScript,
      skipLibCheck: true,
      allowJs: true,
      checkJs: true,
      experimentalDecorators: true,
      emitDecoratorMetadata: true,
    },
  }
  writeFileSync(join(folder, project), JSON.stringify({ compilerOptions, files: [file] }))
  return tsc(project)
}

async function runSnippet(block) {
  if (block.prelude) throw new Error('The prelude only has types: a block that is to be run must import what it uses.')
  const file = join(folder, 'out', files.get(block).replace(/ts$/, 'js'))
  const { code, signal, output } = await run(process.execPath, [file], {
    cwd: folder,
    show: false,
    timeout: 3000,
    env: { PORT: '0' },
  })
  if (code !== 0 && signal !== 'SIGTERM') throw new Error(output)
}

function compileExample(name) {
  const from = join(root, 'examples', name)
  cpSync(from, join(folder, 'examples', name), { recursive: true, filter: (path) => basename(path) !== 'node_modules' })
  if (existsSync(join(from, 'tsconfig.json'))) return tsc(join('examples', name))
  const common = {
    ...{
      target: 'es2022',
      module: 'nodenext',
      noEmit: true,
      allowJs: true,
      checkJs: true,
      skipLibCheck: true,
      noImplicitAny: false,
    },
    types: ['node'],
  }
  const files = readdirSync(from, { recursive: true }).filter(
    (file) => /\.[cm]?[jt]s$/.test(file) && !file.includes('node_modules'),
  )
  const inBrowser = files.filter((file) => /(^|[\\/])(public|client)[\\/]/.test(file))
  const onServer = files.filter((file) => !inBrowser.includes(file))
  const at = (list) => list.map((file) => join('examples', name, file))
  const projects = []
  if (onServer.length > 0) projects.push({ compilerOptions: { ...common, lib: ['es2023'] }, files: at(onServer) })
  if (inBrowser.length > 0) {
    projects.push({
      compilerOptions: { ...common, lib: ['es2023', 'dom', 'dom.iterable'], types: [] },
      // The page imports types of the server, which have those of the session.
      files: ['page.d.ts', ...at([...files.filter((file) => file.endsWith('.d.ts')), ...inBrowser])],
    })
  }
  return projects.reduce(async (before, project, number) => {
    await before
    const config = `tsconfig.example-${name}-${number}.json`
    writeFileSync(join(folder, config), JSON.stringify(project))
    await tsc(config)
  }, Promise.resolve())
}

mkdirSync(join(folder, 'examples'))
// A page gets `io` from the script that socket.io serves.
writeFileSync(join(folder, 'page.d.ts'), "declare const io: typeof import('socket.io-client').io\n")
await reportInStages('snippets', [
  [['installed', () => must('npm', ['install', '--ignore-scripts', '--silent'], { cwd: folder })]],
  [
    ...compiled.map((block) => [`${block.name} compiles`, () => compileSnippet(block)]),
    ...examples.map((name) => [`examples/${name} compiles`, () => compileExample(name)]),
  ],
  compiled.filter((block) => block.run).map((block) => [`${block.name} runs`, () => runSnippet(block)]),
])
for (const { name, label } of blocks.filter((block) => !isCompiled(block)))
  console.log(`${name} is not compiled: ${notCompiled[label]}`)
