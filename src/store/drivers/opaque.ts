/** Settings by which stores are told to encrypt: session-file-store's `secret`, connect-mongo's `crypto`. */
const SECRETS = ['secret', 'crypto', 'encrypt', 'encryption', 'encryptionKey']
/** Settings by which stores are given a form of their own for what they keep, and what stands there where they have none. */
const FORMS: [string, unknown][] = [
  ['serializer', JSON],
  ['serialize', undefined],
  ['encoder', JSON.stringify],
]

/**
 * Does a store keep its sessions in a form that others are not to read, or may not be able to? What it was told is looked for on the
 * store and on its `options`, where stores keep it.
 */
export function isOpaque(store: object): boolean {
  const { options } = store as { options?: unknown }
  return [store, Object(options)].some(
    (settings: Record<string, unknown>) =>
      SECRETS.some((name) => isSecret(settings[name])) ||
      FORMS.some(([name, plain]) => settings[name] !== undefined && settings[name] !== null && settings[name] !== plain),
  )
}

/** Some stores have an object with the algorithm there in any case, and a secret in it where they encrypt. */
function isSecret(value: unknown): boolean {
  return typeof value === 'object' && value !== null ? Boolean((value as { secret?: unknown }).secret) : Boolean(value)
}
