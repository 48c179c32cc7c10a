/**
 * Pages and their addresses. None may begin with a prefix that the edge gives to a service (`/chat`, `/calls`,
 * `/camera`, `/live`, `/mqtt`, `/files`, `/crypto`).
 */

import { createRouter, createWebHistory, type Router, type RouteRecordRaw } from 'vue-router'
import ChatPage from './chat/ChatPage.vue'
import { takeToken } from './session'
import SettingsPage from './settings/SettingsPage.vue'
import NotFoundPage from './ui/NotFoundPage.vue'

const routes: RouteRecordRaw[] = [
  { path: '/', name: 'overview', component: () => import('./overview/OverviewPage.vue') },
  { path: '/rooms/:room(.+)?', name: 'chat', component: ChatPage },
  { path: '/settings', name: 'settings', component: SettingsPage },
  { path: '/:rest(.*)', name: 'not-found', component: NotFoundPage },
]

/** Makes the router, which remembers the address as it finds it: a token in it must have been taken out before. */
export function makeRouter(): Router {
  const router = createRouter({ history: createWebHistory(), routes })
  // A link with a token may also be opened in a tab that is here already.
  router.beforeEach((to) => {
    if (!takeToken(to.hash)) return true
    return { path: to.path, query: to.query, hash: '', replace: true }
  })
  return router
}
