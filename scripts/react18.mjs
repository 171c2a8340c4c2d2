// Runs the tests of React in Chromium with React 18, which is installed in a folder of its own. `npm run build` comes first.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { must, report, run, temporary } from './support.mjs'

const folder = temporary('react18')
await report('react', [
  [
    'React 18',
    async () => {
      const dependencies = { react: '^18.0.0', 'react-dom': '^18.0.0' }
      writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies }))
      await must('npm', ['install', '--ignore-scripts', '--silent'], { cwd: folder })
      const { code } = await run(
        process.execPath,
        ['node_modules/vitest/vitest.mjs', 'run', 'test/client/react.browser.test.ts'],
        {
          env: { REACT_FOLDER: folder },
        },
      )
      if (code !== 0) throw new Error('The tests fail with React 18')
    },
  ],
])
