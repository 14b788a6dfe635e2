-- uvarint returns the number at a place of s and the place behind it, nil if it is damaged; numbers below 2^53 are exact
local function uvarint(s, at)
  local n, scale = 0, 1
  for i = at, at + 9 do
    local b = string.byte(s, i)
    if not b then
      return nil
    end
    if b < 128 then
      return n + b * scale, i + 1
    end
    n, scale = n + (b - 128) * scale, scale * 128
  end
end

