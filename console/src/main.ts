import { createApp } from 'vue'
import { keepSession } from './account/keeping'
import App from './App.vue'
import { followLocale } from './i18n'
import { makeRouter } from './router'
import { takeFragment } from './session'
import { followTheme } from './theme'
import './style.css'

/** The pages do not wait longer for a session's token: a service that is away must not keep them blank. */
const PATIENCE_MS = 1_500

followTheme()
followLocale()
const taken = takeFragment(location.hash)
if (taken !== 'nothing') {
  history.replaceState(null, '', (taken === 'setup' ? '/setup' : location.pathname) + location.search)
}
await Promise.race([keepSession(), new Promise((waited) => setTimeout(waited, PATIENCE_MS))])
createApp(App).use(makeRouter()).mount('#app')
