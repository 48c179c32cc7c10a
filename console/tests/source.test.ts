/** Rules that hold over all sources. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse as parseComponent } from 'vue/compiler-sfc'
import { describe, expect, test } from 'vitest'
import { en } from '../src/i18n/en'
import { zh } from '../src/i18n/zh'

const SOURCE = join(import.meta.dirname, '../src')
const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.(vue|ts)$/.test(name) && !name.startsWith('gen/'))
  .map((name) => ({ name, text: readFileSync(join(SOURCE, name), 'utf8') }))
const components = files.filter(({ name }) => name.endsWith('.vue'))

/** Proper names, the same in every language. */
const NAMES = ['Patchbay']

/** Attributes whose text a person reads or hears. */
const READ = ['title', 'alt', 'placeholder', 'aria-label', 'label']

test.each(files)('$name never turns text into markup or code', ({ text }) => {
  expect(text).not.toMatch(
    /v-html|innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|\beval\(|new Function|createContextualFragment/,
  )
})

describe('words', () => {
  test('both languages have the same keys', () => {
    expect(Object.keys(zh).sort()).toEqual(Object.keys(en).sort())
  })

  test.each(Object.keys(en) as (keyof typeof en)[])('%s takes the same parameters in both', (key) => {
    const parameters = (text: string) => [...new Set(text.match(/\{\w+\}/g))].sort()
    expect(parameters(zh[key])).toEqual(parameters(en[key]))
  })

  test.each(components)('$name has none outside the locale files', ({ text }) => {
    expect(wordsIn(parseComponent(text).descriptor.template?.ast)).toEqual([])
  })

  test.each(files)('$name asks only for keys that exist', ({ text }) => {
    const keys = [...text.matchAll(/\bt\('([\w.-]+)'/g)].map(([, key]) => key)
    expect(keys.filter((key) => !(key! in en))).toEqual([])
  })
})

interface TemplateNode {
  type: number
  content?: unknown
  name?: string
  value?: { content: string }
  children?: TemplateNode[]
  props?: TemplateNode[]
}

/** Text that is written into a template: elements' own, and attributes that people read. */
function wordsIn(node: unknown): string[] {
  const { type, content, children = [], props = [] } = (node ?? {}) as TemplateNode
  const text = type === 2 && typeof content === 'string' ? [content.trim()] : []
  const attributes = props.flatMap(({ name, value }) => (READ.includes(name ?? '') && value ? [value.content] : []))
  const own = [...text, ...attributes].filter((words) => /\p{Letter}/u.test(words) && !NAMES.includes(words))
  return [...own, ...children.flatMap(wordsIn)]
}
