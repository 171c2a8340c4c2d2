export function bundled(contents: string, options?: object): Promise<string>
