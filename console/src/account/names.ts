/** What names look like, so that a typing error is told before it is sent. */

/** An account's or a group's name. */
export function isAccountName(name: string): boolean {
  return /^[a-z0-9._-]{1,64}$/.test(name)
}

/** A user name of another protocol, or a stream's name. */
export function isUsername(name: string): boolean {
  return /^[^\s\p{C}]{1,128}$/u.test(name)
}
