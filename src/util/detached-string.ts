/**
 * A copy of a text that a client has sent. In V8 a part of a text refers to the whole: the id in a cookie would keep the header of its request in
 * memory, for as long as the id is remembered.
 */
export function detachedString(text: string): string {
  return ` ${text}`.slice(1)
}
