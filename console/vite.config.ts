import tailwindcss from '@tailwindcss/vite'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'
import manifest from './package.json' with { type: 'json' }

// `npm run dev` serves the pages from here and passes the rest on to a running console service.
const suite = process.env['PATCHBAY_CONSOLE'] ?? 'http://127.0.0.1:8000'

export default defineConfig({
  define: { __APP_VERSION__: JSON.stringify(manifest.version) },
  plugins: [vue(), tailwindcss()],
  // Nothing is inlined: the console's content security policy refuses inline scripts and styles.
  build: { target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: {
    proxy: {
      '/chat/': { target: suite, ws: true },
      '^/patchbay\\.': { target: suite },
    },
  },
  test: { include: ['tests/**/*.test.ts'], environment: 'node' },
})
