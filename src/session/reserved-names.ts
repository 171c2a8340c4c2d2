/** Is it a name that cannot hold session data? @param prototype `Session.prototype` */
export function isReservedName(name: string, prototype: object): boolean {
  return name === 'cookie' || name === 'id' || name === 'req' || name in prototype
}
