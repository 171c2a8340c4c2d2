export const PAGE_LIMITS: Record<string, number>
export function bundled(contents: string, options?: object): Promise<string>
export function weighPage(what: string): Promise<number>
