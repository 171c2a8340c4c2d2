import { sha1 } from '../../../util/hash.js'

/**
 * The channel is passed in ARGV: clients put their prefix before KEYS, and a channel must not get it. Clusters before Redis 7 know no SPUBLISH:
 * there a plain message goes to every node.
 */
const PUBLISH_FUNCTION = `
local function publish(command, channel, text)
  if not command or command == '' then return '' end
  local reply = redis.pcall(command, channel, text)
  if command == 'SPUBLISH' and type(reply) == 'table' and string.find(reply.err or '', 'Unknown Redis command', 1, true) then
    reply = redis.pcall('PUBLISH', channel, text)
  end
  return type(reply) == 'table' and reply.err or ''
end`

/** KEYS[1] and ARGV[1]: as of the script below. Replies as that does where it writes nothing. */
const COMPARE = `
local current = redis.call('GET', KEYS[1])
if current == '' then current = false end
local digest = current and redis.sha1hex(current) or ''
if digest ~= ARGV[1] then
  if current then return {0, digest, current} end
  return {0}
end
`

/**
 * Compares, sets and publishes in one step. Nothing can fail after its one write, as Redis does not roll a script back: a publish that
 * is refused, by an access list for example, is reported in the answer.
 *
 * - KEYS[1]: the session's key
 * - ARGV[1]: the expected etag, a digest of the bytes that have to be there; empty: nothing may be there
 * - ARGV[2]: the new bytes
 * - ARGV[3]: ms to live; 0: not at all, -1: for ever
 * - ARGV[4]: `extend`: the session lives no shorter than it would have; or `exact`
 * - ARGV[5]: the command that publishes, or nothing; ARGV[6]: the channel; ARGV[7]: the text
 *
 * Replies `{1, error of the publish or ''}`, or with what is there: `{0}` for nothing, `{0, digest, bytes}` else. Empty bytes are no session to connect-redis.
 */
const COMMIT = `${PUBLISH_FUNCTION}${COMPARE}local ttl = tonumber(ARGV[3])
if current and ttl >= 0 and ARGV[4] == 'extend' then
  local left = redis.call('PTTL', KEYS[1])
  if left == -1 then ttl = -1
  elseif left > ttl then ttl = left end
end
if ttl == 0 then redis.call('DEL', KEYS[1])
elseif ttl < 0 then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', string.format('%.0f', ttl)) end
return {1, publish(ARGV[5], ARGV[6], ARGV[7])}
`

/** Removes a session and publishes that. KEYS[1]: its key; ARGV[1] to ARGV[3]: as ARGV[5] to ARGV[7] above. Replies `{1, error or ''}`. */
const DESTROY = `${PUBLISH_FUNCTION}
redis.call('DEL', KEYS[1])
return {1, publish(ARGV[1], ARGV[2], ARGV[3])}
`

/** Only publishes. KEYS[1]: a key in the channel's slot; ARGV as in the script above. */
const PUBLISH = `${PUBLISH_FUNCTION}
return {1, publish(ARGV[1], ARGV[2], ARGV[3])}
`

/** Only reads, where scripts run. KEYS[1]: the session's key. */
const READ = `return redis.call('GET', KEYS[1])`

export class Script {
  readonly text: string
  #sha: string | undefined

  constructor(text: string) {
    this.text = text
  }

  /** For EVALSHA, once Redis has run it. */
  get sha(): string {
    this.#sha ??= sha1(this.text)
    return this.#sha
  }
}

/** Only compares. */
export const COMPARE_SCRIPT = new Script(`${COMPARE}return {1}`)
export const COMMIT_SCRIPT = new Script(COMMIT)
export const DESTROY_SCRIPT = new Script(DESTROY)
export const PUBLISH_SCRIPT = new Script(PUBLISH)
export const READ_SCRIPT = new Script(READ)
