/**
 * Pages and their addresses. None may begin with a prefix that the edge gives to a service (`/chat`, `/calls`,
 * `/camera`, `/live`, `/mqtt`, `/files`, `/crypto`).
 */

import { createRouter, createWebHistory } from 'vue-router'
import ChatPage from './chat/ChatPage.vue'
import SettingsPage from './settings/SettingsPage.vue'
import NotFoundPage from './ui/NotFoundPage.vue'

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: '/', name: 'overview', component: () => import('./overview/OverviewPage.vue') },
    { path: '/rooms/:room(.+)?', name: 'chat', component: ChatPage },
    { path: '/settings', name: 'settings', component: SettingsPage },
    { path: '/:rest(.*)', name: 'not-found', component: NotFoundPage },
  ],
})
