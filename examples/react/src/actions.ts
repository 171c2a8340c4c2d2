import { guess } from 'sharedsession/client'
import type { Published } from '../server'
import { live, socket } from './live'

/** Sends an event. Resolves when the server has saved what it did; rejects with what is wrong. */
async function send(event: string, ...args: unknown[]): Promise<void> {
  const answer = await socket
    .timeout(30_000)
    .emitWithAck(event, ...args)
    .catch(() => ({ error: 'The server did not answer.' }))
  if (answer.error) throw new Error(answer.error)
}

/**
 * Sends an event, and shows what it will do until the server says so itself, or refuses.
 * @param recipe for a moment it also runs on a state that has the change already, and must do nothing then
 */
function sendAndGuess(recipe: (state: Published) => void, event: string, ...args: unknown[]): Promise<void> {
  return guess(live, recipe, send(event, ...args))
}

export function addTask(text: string): Promise<void> {
  const task = { id: crypto.randomUUID(), text, done: false }
  const recipe = ({ tasks }: Published): void => {
    if (!tasks.some(({ id }) => id === task.id)) tasks.push(task)
  }
  return sendAndGuess(recipe, 'task:add', task.id, text)
}

export function markTask(id: string, done: boolean): Promise<void> {
  const recipe = ({ tasks }: Published): void => {
    for (const task of tasks) if (task.id === id) task.done = done
  }
  return sendAndGuess(recipe, 'task:done', id, done)
}

export function removeTask(id: string): Promise<void> {
  const recipe = (state: Published): void => {
    state.tasks = state.tasks.filter((task) => task.id !== id)
  }
  return sendAndGuess(recipe, 'task:remove', id)
}

/** Log in and out by HTTP: only a response gives the browser a new cookie. What it changes comes by the socket, to every tab. */
export async function post(path: '/login' | '/logout', body?: object): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body ?? {}) })
  if (!response.ok) throw new Error((await response.json()).error)
}
