import { type FormEvent, useState } from 'react'
import { useSession, useSessionStatus } from 'sharedsession/react'
import { addTask, markTask, post, removeTask } from './actions'
import { live } from './live'

/** Does something, and keeps what went wrong for the user to read. */
type Attempt = (work: Promise<void>) => void

export function App() {
  const [problem, setProblem] = useState('')
  const attempt: Attempt = (work) => {
    setProblem('')
    work.catch((error: Error) => setProblem(error.message))
  }
  return (
    <>
      <header>
        <h1>Tasks</h1>
        <Connection />
        <Account attempt={attempt} />
      </header>
      <main>
        <Tasks attempt={attempt} />
        <p className="problem" role="alert">
          {problem}
        </p>
        <a className="button" href="/" target="_blank" rel="noreferrer">
          Open another tab
        </a>
      </main>
    </>
  )
}

const WORDS = {
  connecting: 'connecting',
  live: 'live',
  stale: 'offline',
  switching: 'switching',
  ended: 'no session: are cookies allowed?',
}

function Connection() {
  const status = useSessionStatus(live)
  return (
    <p className="pill" role="status" data-status={status}>
      {WORDS[status]}
    </p>
  )
}

function Account({ attempt }: { attempt: Attempt }) {
  const user = useSession(live, (session) => session.user)
  const known = useSession(live, () => true)
  if (!known) return null
  const logIn = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    attempt(post('/login', Object.fromEntries(new FormData(event.currentTarget))))
  }
  if (!user) {
    return (
      <form className="account" onSubmit={logIn}>
        <input name="name" aria-label="Your name" placeholder="Your name" maxLength={40} autoComplete="nickname" required />
        <button type="submit">Log in</button>
      </form>
    )
  }
  return (
    <div className="account">
      <b className="user">{user}</b>
      <button type="button" onClick={() => attempt(post('/logout'))}>
        Log out
      </button>
    </div>
  )
}

function Tasks({ attempt }: { attempt: Attempt }) {
  const tasks = useSession(live, (session) => session.tasks)
  const add = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const text = `${new FormData(event.currentTarget).get('text')}`.trim()
    event.currentTarget.reset()
    if (text) attempt(addTask(text))
  }
  // There is no state before the first one, and none between two sessions: nothing of the last user stays on the screen.
  if (!tasks) return <p className="card empty">One moment.</p>
  return (
    <section className="card">
      <form className="add" onSubmit={add}>
        <input name="text" aria-label="A new task" placeholder="A new task" maxLength={80} autoComplete="off" required />
        <button type="submit" className="primary">
          Add
        </button>
      </form>
      <ul>
        {tasks.map(({ id, text, done }) => (
          <li key={id}>
            <label>
              <input type="checkbox" checked={done} onChange={() => attempt(markTask(id, !done))} />
              <span>{text}</span>
            </label>
            <button type="button" className="remove" aria-label={`Remove: ${text}`} onClick={() => attempt(removeTask(id))}>
              &times;
            </button>
          </li>
        ))}
      </ul>
      {tasks.length === 0 && <p className="empty">Nothing to do, in any tab.</p>}
    </section>
  )
}
