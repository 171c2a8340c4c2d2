import { sha1 } from '../../../util/hash.js'

/** No key: a client's own prefix is not for channels. */
const TELL = `
local function tell(command, channel, text)
  if not command or command == '' then return '' end
  local told = redis.pcall(command, channel, text)
  return type(told) == 'table' and told.err or ''
end`

/**
 * Compare and set in one step, and tell of it. Nothing can fail after its one write, as Redis does not roll a script back: a publish that
 * is refused, by an access list for example, is reported in the answer.
 *
 * - KEYS[1]: the session's key
 * - ARGV[1]: digest of the bytes that have to be there; empty: nothing may be there
 * - ARGV[2]: the new bytes
 * - ARGV[3]: ms to live; 0: not at all, -1: without an end
 * - ARGV[4]: `extend`: no shorter than what is left to the session
 * - ARGV[5]: the command that publishes, or nothing; ARGV[6]: the channel; ARGV[7]: the text
 *
 * Answers `{1, refusal of the publish or ''}`, or what is there: `{0}` for nothing, `{0, digest, bytes}` else. Empty bytes are no session to connect-redis.
 */
const SCRIPT = `${TELL}
local held = redis.call('GET', KEYS[1])
if held == '' then held = false end
local digest = held and redis.sha1hex(held) or ''
if digest ~= ARGV[1] then
  if held then return {0, digest, held} end
  return {0}
end
local life = tonumber(ARGV[3])
if held and life >= 0 and ARGV[4] == 'extend' then
  local left = redis.call('PTTL', KEYS[1])
  if left == -1 then life = -1
  elseif left > life then life = left end
end
if life == 0 then redis.call('DEL', KEYS[1])
elseif life < 0 then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', string.format('%.0f', life)) end
return {1, tell(ARGV[5], ARGV[6], ARGV[7])}
`

/** Takes a session away and tells of it. KEYS[1]: its key; ARGV[1] to ARGV[3]: as ARGV[5] to ARGV[7] above. Answers `{1, refusal or ''}`. */
const DESTROY = `${TELL}
redis.call('DEL', KEYS[1])
return {1, tell(ARGV[1], ARGV[2], ARGV[3])}
`

/** Only tells. KEYS[1]: something in the channel's slot; ARGV as in the script above. */
const ONLY_TELL = `${TELL}
return {1, tell(ARGV[1], ARGV[2], ARGV[3])}
`

export interface Script {
  text: string
  /** By this name Redis knows the script once it has run it. */
  name: string
}

export const COMMIT_SCRIPT = named(SCRIPT)
export const DESTROY_SCRIPT = named(DESTROY)
export const PUBLISH_SCRIPT = named(ONLY_TELL)

function named(text: string): Script {
  return { text, name: sha1(text) }
}
