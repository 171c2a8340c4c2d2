/** The value of a cookie in a request's `Cookie` header, as it was sent; `undefined` where it is not among them. */
export function cookieValue(header: string, name: string): string | undefined {
  if (!header.includes(name)) return undefined
  const pair = header.split(';').find((part) => part.includes('=') && part.slice(0, part.indexOf('=')).trim() === name)
  return pair?.slice(pair.indexOf('=') + 1).trim()
}
