import { digest } from './digest.js'

/**
 * Compare and set in one step. Nothing can fail after its one write, as Redis does not roll a script back.
 *
 * - KEYS[1]: the session's key
 * - ARGV[1]: digest of the bytes that have to be there; empty: nothing may be there
 * - ARGV[2]: the new bytes
 * - ARGV[3]: ms to live; 0: not at all, -1: without an end
 * - ARGV[4]: `atLeast`: no shorter than what is left to the session
 *
 * Answers `{1}`, or what is there: `{0}` for nothing, `{0, digest, bytes}` else. Empty bytes are no session to connect-redis.
 */
export const SCRIPT = `
local held = redis.call('GET', KEYS[1])
if held == '' then held = false end
local digest = held and redis.sha1hex(held) or ''
if digest ~= ARGV[1] then
  if held then return {0, digest, held} end
  return {0}
end
local life = tonumber(ARGV[3])
if held and life >= 0 and ARGV[4] == 'atLeast' then
  local left = redis.call('PTTL', KEYS[1])
  if left == -1 then life = -1
  elseif left > life then life = left end
end
if life == 0 then redis.call('DEL', KEYS[1])
elseif life < 0 then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', string.format('%.0f', life)) end
return {1}
`

/** By this name Redis knows the script once it has run it. */
export const SCRIPT_NAME = digest(SCRIPT)
