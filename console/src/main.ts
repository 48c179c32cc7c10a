import { createApp } from 'vue'
import App from './App.vue'
import { followLocale } from './i18n'
import { makeRouter } from './router'
import { takeToken } from './session'
import { followTheme } from './theme'
import './style.css'

followTheme()
followLocale()
if (takeToken(location.hash)) history.replaceState(null, '', location.pathname + location.search)
createApp(App).use(makeRouter()).mount('#app')
