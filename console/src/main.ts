import { createApp } from 'vue'
import { keepSession } from './account/keeping'
import App from './App.vue'
import { followLocale } from './i18n'
import { makeRouter } from './router'
import { takeFragment } from './session'
import { followTheme } from './theme'
import './style.css'

followTheme()
followLocale()
const taken = takeFragment(location.hash)
if (taken !== 'nothing') {
  history.replaceState(null, '', (taken === 'setup' ? '/setup' : location.pathname) + location.search)
}
void keepSession()
createApp(App).use(makeRouter()).mount('#app')
