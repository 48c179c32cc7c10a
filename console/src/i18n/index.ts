/** Words of the console in the language that is chosen, or that the browser asks for. */

import { computed, ref, watchEffect } from 'vue'
import { en } from './en'
import { zh } from './zh'
import { service as zhService } from './zh/service'

export type Key = keyof typeof en
export type Locale = 'en' | 'zh'
export type Params = Record<string, string | number>

/** Keys that come in `.one` and `.other`. */
export type CountedKey = Key extends infer K ? (K extends `${infer Stem}.one` ? Stem : never) : never

export const LOCALES: { locale: Locale; name: string }[] = [
  { locale: 'en', name: 'English' },
  { locale: 'zh', name: '中文' },
]

const WORDS: Record<Locale, Record<Key, string>> = { en, zh }

/** What services say in English, by its code, for pages in another language. */
const OF_SERVICES: Partial<Record<Locale, Record<string, string>>> = { zh: zhService }

const TAGS: Record<Locale, string> = { en: 'en-GB', zh: 'zh-CN' }
const STORED_AS = 'patchbay.locale'

export const locale = ref<Locale>(stored() ?? asked())

/** Keeps the document's language in step; called once, by the entry. */
export function followLocale(): void {
  watchEffect(() => {
    document.documentElement.lang = TAGS[locale.value]
  })
}

export function chooseLocale(chosen: Locale): void {
  locale.value = chosen
  localStorage.setItem(STORED_AS, chosen)
}

/** Words for a key, with `{name}` replaced by parameters. */
export function t(key: Key, params: Params = {}): string {
  return filled(WORDS[locale.value][key], params)
}

/** Words for a number of things; `{n}` is the number. */
export function tn(key: CountedKey, n: number, params: Params = {}): string {
  const form = formats.value.plural.select(n) === 'one' ? 'one' : 'other'
  return t(`${key}.${form}` as Key, { n: formatNumber(n), ...params })
}

/** Words for a key made at run time, such as an error's; the fallback where there are none. */
export function tOr(key: string, fallback: string): string {
  return key in en ? t(key as Key) : fallback
}

/**
 * Words for what a service says under a code; none where its own words are to be shown alone: on pages in its language, and for
 * codes that are newer than the page.
 */
export function serviceWords(code: string, params: Params = {}): string | undefined {
  const words = OF_SERVICES[locale.value]?.[code]
  return words === undefined ? undefined : filled(words, params)
}

function filled(words: string, params: Params): string {
  return words.replace(/\{(\w+)\}/g, (whole, name: string) => String(params[name] ?? whole))
}

/** Making a format costs far more than using it, and a log of messages uses them a thousand times. */
const formats = computed(() => {
  const tag = TAGS[locale.value]
  return {
    plural: new Intl.PluralRules(tag),
    whole: new Intl.NumberFormat(tag, { maximumFractionDigits: 0 }),
    tenths: new Intl.NumberFormat(tag, { maximumFractionDigits: 1 }),
    time: new Intl.DateTimeFormat(tag, { hour: '2-digit', minute: '2-digit' }),
    dateTime: new Intl.DateTimeFormat(tag, { dateStyle: 'medium', timeStyle: 'medium' }),
    day: new Intl.DateTimeFormat(tag, { dateStyle: 'full' }),
    date: new Intl.DateTimeFormat(tag, { dateStyle: 'medium' }),
  }
})

export function formatNumber(value: number, precision: 'whole' | 'tenths' = 'whole'): string {
  return formats.value[precision].format(value)
}

export function formatTime(ms: number): string {
  return formats.value.time.format(ms)
}

export function formatDateTime(ms: number): string {
  return formats.value.dateTime.format(ms)
}

export function formatDate(ms: number): string {
  return formats.value.date.format(ms)
}

/** A day as people say it: today, yesterday, or its date. */
export function formatDay(ms: number, now: number): string {
  const days = Math.round((startOfDay(now) - startOfDay(ms)) / 86_400_000)
  if (days === 0) return t('time.today')
  if (days === 1) return t('time.yesterday')
  return formats.value.day.format(ms)
}

/** A duration in its two largest units, such as `3 h 12 min`. */
export function formatDuration(seconds: number): string {
  const units = [
    ['time.days', 86_400],
    ['time.hours', 3_600],
    ['time.minutes', 60],
    ['time.seconds', 1],
  ] as const
  const first = units.findIndex(([, size]) => seconds >= size)
  if (first < 0) return t('time.seconds', { n: 0 })
  let rest = seconds
  const parts = units.slice(first, first + 2).map(([key, size]) => {
    const n = Math.floor(rest / size)
    rest -= n * size
    return { n, words: t(key, { n }) }
  })
  return parts
    .filter(({ n }) => n > 0)
    .map(({ words }) => words)
    .join(' ')
}

function startOfDay(ms: number): number {
  return new Date(ms).setHours(0, 0, 0, 0)
}

function stored(): Locale | undefined {
  const value = globalThis.localStorage?.getItem(STORED_AS)
  return LOCALES.find(({ locale }) => locale === value)?.locale
}

function asked(): Locale {
  const tags = globalThis.navigator?.languages ?? []
  const first = tags.find((tag) => /^(zh|en)\b/i.test(tag))
  return first && /^zh\b/i.test(first) ? 'zh' : 'en'
}
