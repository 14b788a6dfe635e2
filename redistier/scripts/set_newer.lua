-- KEYS[1] entry; ARGV[1] value, ARGV[2] its life in ms, ARGV[3] its version as 8 bytes
-- 1: changed; 0: refused
-- The layout of a value is that of package frame.
local function has(flags, bit)
  return math.floor(flags / bit) % 2 == 1
end

-- parts takes a value apart; nil if it is damaged
local function parts(s)
  local p, at = {flags = string.byte(s, 2), ext = 0}, 3
  if not p.flags then
    return nil
  end
  if has(p.flags, 0x80) then
    p.ext, at = string.byte(s, 3), 4
    if not p.ext then
      return nil
    end
  end
  local head, _ = at
  at = at + 13
  if has(p.flags, 0x10) then
    _, at = uvarint(s, at)
    if not at then
      return nil
    end
  end
  if has(p.ext, 0x20) then
    _, at = uvarint(s, at)
    if not at then
      return nil
    end
  end
  if has(p.flags, 0x20) then
    p.version = string.sub(s, at, at + 7)
    at = at + 8
  end
  p.head = string.sub(s, head, at - 1)
  p.namespace = ''
  if has(p.ext, 0x01) then
    p.namespace = string.sub(s, at, at + 7)
    at = at + 8
  end
  p.schema = ''
  if has(p.ext, 0x02) then
    p.schema = string.sub(s, at, at + 3)
    at = at + 4
  end
  if has(p.ext, 0x40) then
    p.schema = p.schema .. string.sub(s, at, at + 1)
    at = at + 2
  end
  local tags = at
  if has(p.flags, 0x40) then
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
  p.tags, p.payload = string.sub(s, tags, at - 1), string.sub(s, at)
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
local kind = string.byte(v, 1)
if kind == 0xFB then
  return 0
end
local old = kind == 0xFA and parts(v)
if not old or not old.version then
  redis.call('DEL', KEYS[1]) -- nobody knows whether it is older
  return 1
end
if not lower(old.version, ARGV[3]) then
  return 0
end
local new = parts(ARGV[1])
if not new then
  return redis.error_reply('ERR larder: damaged value')
end
local function set(flags, bit, on)
  if has(flags, bit) then
    flags = flags - bit
  end
  return on and flags + bit or flags
end
local ext = set(new.ext, 0x01, old.namespace ~= '')
local flags = set(set(new.flags, 0x40, old.tags ~= ''), 0x80, ext ~= 0)
local bytes = '\250' .. string.char(flags)
if ext ~= 0 then
  bytes = bytes .. string.char(ext)
end
bytes = bytes .. new.head .. old.namespace .. new.schema .. old.tags .. new.payload
redis.call('SET', KEYS[1], bytes, 'PX', ARGV[2])
redis.call('EXISTS', KEYS[1]) -- the SET dropped this client's registration
return 1
