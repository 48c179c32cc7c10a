/**
 * Pages and their addresses. None may begin with a prefix that the edge gives to a service (`/chat/`, `/calls/`,
 * `/camera/`, `/live/`, `/mqtt`, `/files/`, `/crypto/`).
 */

import { createRouter, createWebHistory, type Router, type RouteRecordRaw } from 'vue-router'
import ChatPage from './chat/ChatPage.vue'
import { takeFragment } from './session'
import SettingsPage from './settings/SettingsPage.vue'
import NotFoundPage from './ui/NotFoundPage.vue'

const routes: RouteRecordRaw[] = [
  { path: '/', name: 'overview', component: () => import('./overview/OverviewPage.vue') },
  { path: '/rooms/:room(.+)?', name: 'chat', component: ChatPage },
  { path: '/cameras', name: 'cameras', component: () => import('./cameras/CamerasPage.vue') },
  { path: '/cameras/:camera', name: 'camera', component: () => import('./cameras/OneCameraPage.vue') },
  {
    path: '/cameras/:camera/settings',
    name: 'camera-settings',
    component: () => import('./cameras/setup/SetupPage.vue'),
  },
  // A camera may be called `new`, so that this is no page below the others.
  { path: '/add-camera', name: 'camera-new', component: () => import('./cameras/setup/SetupPage.vue') },
  { path: '/sign-in', name: 'sign-in', component: () => import('./account/SignInPage.vue') },
  { path: '/setup', name: 'setup', component: () => import('./account/SetupPage.vue') },
  { path: '/account', name: 'account', component: () => import('./account/AccountPage.vue') },
  { path: '/accounts', name: 'accounts', component: () => import('./accounts/AccountsPage.vue') },
  { path: '/accounts/:account', name: 'account-of', component: () => import('./accounts/OneAccountPage.vue') },
  { path: '/keys', name: 'keys', component: () => import('./keys/KeysPage.vue') },
  { path: '/keys/:key', name: 'key', component: () => import('./keys/OneKeyPage.vue') },
  { path: '/playground/:tool?', name: 'playground', component: () => import('./playground/PlaygroundPage.vue') },
  { path: '/seal', name: 'seal', component: () => import('./seal/SealPage.vue') },
  { path: '/tls/:view?', name: 'tls', component: () => import('./tls/TlsPage.vue') },
  { path: '/audit', name: 'audit', component: () => import('./audit/AuditPage.vue') },
  { path: '/settings', name: 'settings', component: SettingsPage },
  { path: '/:rest(.*)', name: 'not-found', component: NotFoundPage },
]

/** Makes the router, which remembers the address as it finds it: a secret in it must have been taken out before. */
export function makeRouter(): Router {
  const router = createRouter({ history: createWebHistory(), routes })
  // A link with a secret may also be opened in a tab that is here already.
  router.beforeEach((to) => {
    const taken = takeFragment(to.hash)
    if (taken === 'nothing') return true
    return { path: taken === 'setup' ? '/setup' : to.path, query: to.query, hash: '', replace: true }
  })
  return router
}
