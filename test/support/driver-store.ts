import { Store } from 'express-session'

/** Its driver is in place of its methods. */
export class DriverStore extends Store {
  get(): void {}
  set(): void {}
  destroy(): void {}
}
