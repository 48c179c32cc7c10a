/** Light or dark: the system's choice until the person makes one. */

import { ref, watchEffect } from 'vue'

export type Theme = 'system' | 'light' | 'dark'

export const THEMES: Theme[] = ['system', 'light', 'dark']

const STORED_AS = 'patchbay.theme'

export const theme = ref<Theme>(stored())

/** Keeps the document's theme in step; called once, by the entry. */
export function followTheme(): void {
  watchEffect(() => {
    if (theme.value === 'system') document.documentElement.removeAttribute('data-theme')
    else document.documentElement.dataset['theme'] = theme.value
  })
}

export function chooseTheme(chosen: Theme): void {
  theme.value = chosen
  localStorage.setItem(STORED_AS, chosen)
}

function stored(): Theme {
  const value = localStorage.getItem(STORED_AS)
  return THEMES.find((known) => known === value) ?? 'system'
}
