// Applications that install the packed package, compiled with strict library checks and run. See test/package.
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { manifest, must, pack, reportInStages, root, temporary } from './support.mjs'

const compilers = { 'TypeScript 6': 'typescript', 'TypeScript 5.9': 'typescript-5', 'TypeScript 7': 'typescript-7' }
const modules = {
  node16: { module: 'node16' },
  nodenext: { module: 'nodenext' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
}
const from = (...names) => Object.fromEntries(names.map((name) => [name, manifest.devDependencies[name]]))

const packed = await pack()
const folder = temporary('consumers')

function consumer(name, install, dependencies = {}) {
  const cwd = join(folder, name)
  mkdirSync(cwd)
  const installed = {
    ...from('express', 'express-session', 'socket.io', 'socket.io-client', 'typescript'),
    ...from('@types/express', '@types/express-session', '@types/node', '@types/cookie-parser'),
    ...from('react', '@types/react', 'vue'),
    'cookie-parser': manifest.dependencies['cookie-parser'],
    'typescript-5': 'npm:typescript@~5.9.0',
    'typescript-7': 'npm:typescript@~7.0.0',
    ...dependencies,
    sharedsession: `file:${packed}`,
  }
  writeFileSync(join(cwd, 'package.json'), JSON.stringify({ private: true, dependencies: installed }))
  cpSync(join(root, 'test/package/consumer'), cwd, { recursive: true })
  return [`${name}: installed`, () => must('npx', install, { cwd })]
}

/** Compiles files of a consumer, and says what the compiler did not like. */
function compiled(name, compiler, module, files, options = {}) {
  return [
    `${name}: ${compiler}, ${module}`,
    async () => {
      const cwd = join(folder, name)
      const project = join(cwd, `tsconfig.${compiler}.${module}.json`.replaceAll(' ', '-'))
      const compilerOptions = {
        ...{ target: 'es2022', strict: true, skipLibCheck: false, types: ['node'], rootDir: '.' },
        outDir: `out/${compilers[compiler]}/${module}`,
        ...modules[module],
        ...options,
      }
      writeFileSync(project, JSON.stringify({ compilerOptions, files }))
      await must(process.execPath, [join('node_modules', compilers[compiler], 'bin/tsc'), '-p', project, '--pretty', 'false'], {
        cwd,
      })
    },
  ]
}

function ran(name, file) {
  return [
    `${name}: ${file} runs`,
    async () => {
      const output = await must(process.execPath, [file], { cwd: join(folder, name), timeout: 30_000 })
      if (!output.includes(': works')) throw new Error(`It ended early, and wrote: ${output}`)
    },
  ]
}

const all = ['handshake.mts', 'esm.mts', 'cjs.cts', 'interop.cts', 'client.mts', 'client.cts']
const esm = all.filter((file) => file.endsWith('.mts'))
const everywhere = (name) => [
  compiled(name, 'TypeScript 7', 'node16', all),
  compiled(name, 'TypeScript 7', 'nodenext', all),
  // CommonJS syntax is not for bundlers.
  compiled(name, 'TypeScript 7', 'bundler', esm),
]
const pnpm = ['-y', 'pnpm@9', 'install', '--ignore-scripts', '--silent']

await reportInStages('consumers', [
  [consumer('npm', ['npm', 'install', '--ignore-scripts', '--silent']), consumer('pnpm', pnpm)],
  [
    // socket.io 4.7 declares the handshake in another file, and its own types do not pass strict library checks.
    consumer('npm-socket.io-4.7', ['npm', 'install', '--ignore-scripts', '--silent'], { 'socket.io': '4.7.5' }),
    consumer('pnpm-socket.io-4.7', pnpm, { 'socket.io': '4.7.5' }),
  ],
  [
    // The older compilers take four times as long. With node16 they find the files of nodenext.
    compiled('npm', 'TypeScript 6', 'nodenext', all),
    compiled('npm', 'TypeScript 6', 'bundler', esm),
    compiled('npm', 'TypeScript 5.9', 'nodenext', all),
    ...everywhere('npm'),
    // Another layout of node_modules.
    ...everywhere('pnpm'),
    compiled('npm-socket.io-4.7', 'TypeScript 6', 'nodenext', all, { skipLibCheck: true }),
    compiled('pnpm-socket.io-4.7', 'TypeScript 6', 'nodenext', all, { skipLibCheck: true }),
  ],
  [
    ran('npm', 'out/typescript-7/nodenext/esm.mjs'),
    ran('npm', 'out/typescript-7/nodenext/cjs.cjs'),
    ran('npm', 'out/typescript-7/nodenext/interop.cjs'),
    ran('npm', 'out/typescript-7/bundler/esm.mjs'),
    ran('npm', 'out/typescript-7/bundler/client.mjs'),
    ran('npm', 'out/typescript-7/nodenext/client.mjs'),
    ran('npm', 'out/typescript-7/nodenext/client.cjs'),
    ran('pnpm', 'out/typescript-7/nodenext/client.mjs'),
    ran('pnpm', 'out/typescript-7/nodenext/esm.mjs'),
    ran('pnpm', 'out/typescript-7/nodenext/cjs.cjs'),
  ],
])
