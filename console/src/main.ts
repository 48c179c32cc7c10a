import { createApp } from 'vue'
import App from './App.vue'
import { followLocale } from './i18n'
import { router } from './router'
import { takeTokenFromAddress } from './session'
import { followTheme } from './theme'
import './style.css'

followTheme()
followLocale()
takeTokenFromAddress()
createApp(App).use(router).mount('#app')
