import tailwindcss from '@tailwindcss/vite'
import vue from '@vitejs/plugin-vue'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'
import manifest from './package.json' with { type: 'json' }

// `npm run dev` serves the pages from here and passes the rest on to a running console service.
const suite = process.env['PATCHBAY_CONSOLE'] ?? 'http://127.0.0.1:8000'

/** Puts `name.gz` beside every text file worth it; the console service sends it to those who take it. */
function compress(): Plugin {
  let folder = ''
  return {
    name: 'compress',
    apply: 'build',
    configResolved: (config) => void (folder = config.build.outDir),
    closeBundle() {
      for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
        const file = join(folder, name)
        if (/\.(js|css)$/.test(name)) writeFileSync(`${file}.gz`, gzipSync(readFileSync(file), { level: 9 }))
      }
    },
  }
}

export default defineConfig({
  define: { __APP_VERSION__: JSON.stringify(manifest.version) },
  plugins: [vue(), tailwindcss(), compress()],
  // Nothing is inlined: the console's content security policy refuses inline scripts and styles.
  build: { target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: {
    proxy: {
      '/chat/': { target: suite, ws: true },
      '/camera/': { target: suite, ws: true },
      '/crypto/': { target: suite },
      '^/patchbay\\.': { target: suite },
    },
  },
  test: { include: ['tests/**/*.test.ts'], environment: 'node' },
})
