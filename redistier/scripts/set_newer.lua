-- KEYS[1] entry; ARGV[1] value, ARGV[2] its life in ms, ARGV[3] its version as 8 bytes
-- 1: changed; 0: refused
-- The layout of a value is that of package frame.
local function has(flags, bit)
  return math.floor(flags / bit) % 2 == 1
end

-- parts takes a value apart; nil if it is damaged
local function parts(s)
  local flags, ext, id = opening(s)
  if not id then
    return nil
  end
  local p, at, _ = {flags = flags, ext = string.sub(s, 3, id - 1)}, id + 19
  if has(flags, 0x10) then
    _, at = uvarint(s, at)
    if not at then
      return nil
    end
  end
  if has(ext, 0x20) then
    _, at = uvarint(s, at)
    if not at then
      return nil
    end
  end
  if has(flags, 0x20) then
    p.version = string.sub(s, at, at + 7)
    at = at + 8
  end
  if has(ext, 0x02) then
    at = at + 4
  end
  if has(ext, 0x40) then
    at = at + 2
  end
  local tags = at
  if has(flags, 0x40) then
    local n
    n, at = uvarint(s, at)
    for _ = 1, n or 0 do
      local size
      size, at = uvarint(s, at)
      if not size then
        return nil
      end
      at = at + size + 8
    end
  end
  if not at or at > #s + 1 then
    return nil
  end
  p.id, p.namespace = string.sub(s, id, id + 10), string.sub(s, id + 11, id + 18)
  p.rest, p.tags, p.payload = string.sub(s, id + 19, tags - 1), string.sub(s, tags, at - 1), string.sub(s, at)
  return p
end

local function lower(a, b) -- strings compare by locale
  for i = 1, 8 do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then
      return x < y
    end
  end
  return false
end

local v = redis.call('GET', KEYS[1])
if not v then
  return 0
end
if string.byte(v, 1) == 0xFB then
  return 0
end
local old = parts(v)
if not old or not old.version then
  redis.call('DEL', KEYS[1]) -- nobody knows whether it is older
  return 1
end
if not lower(old.version, ARGV[3]) then
  return 0
end
local new = parts(ARGV[1])
if not new or not new.version then
  return redis.error_reply('ERR larder: damaged value')
end
local flags = new.flags
if has(flags, 0x40) then
  flags = flags - 0x40
end
if old.tags ~= '' then
  flags = flags + 0x40
end
local bytes = '\250' .. string.char(flags) .. new.ext .. new.id .. old.namespace .. new.rest .. old.tags .. new.payload
redis.call('SET', KEYS[1], bytes, 'PX', ARGV[2])
redis.call('EXISTS', KEYS[1]) -- the SET dropped this client's registration
return 1
