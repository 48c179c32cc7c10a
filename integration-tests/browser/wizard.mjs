/** The form in which cameras are added, as the tests go through it. */

/** A probe takes as long as it was given, at most. */
const PROBE_MS = 45_000

/** Opens the form and chooses the kind of source, such as `An address`. */
export async function choose(page, suite, what) {
  await page.goto(`${suite.console}/add-camera`)
  await page.getByRole('radio', { name: what, exact: true }).check()
  await next(page)
}

/** The button that goes on, whatever it is called in this step. */
export function next(page) {
  return page.locator('form button[type=submit]').click()
}

/** Goes from where the source is to the answer of the probe. */
export async function probe(page) {
  await next(page)
  await answered(page)
}

export function answered(page) {
  return page.locator('[data-test=probe-steps][aria-busy=false]').waitFor({ timeout: PROBE_MS })
}

/** What the probe says of a source that fails. */
export function failure(page, reason) {
  return page.locator(`[data-test=probe-failure][data-reason=${reason}]`)
}

/** Adds a file of the media folder under a name. */
export async function addFile(page, suite, name, path) {
  await choose(page, suite, 'A file')
  await page.getByLabel('File', { exact: true }).fill(path)
  await probe(page)
  await next(page)
  await page.getByLabel('Name', { exact: true }).fill(name)
  await page.getByRole('button', { name: 'Add', exact: true }).click()
  await page.waitForURL(`${suite.console}/cameras/${name}`)
}
