-- opening returns the flags, the extension and the place of the id of a value, nil if it is damaged
local function opening(s)
  local kind, flags, ext = string.byte(s, 1, 3)
  if kind and kind >= 0xF5 and kind <= 0xF8 then
    return kind - 0xF5, 0, 2
  end
  if kind ~= 0xFA or not ext or flags < 4 then
    return nil
  end
  if flags < 128 then
    return flags, 0, 3
  end
  if ext == 0 or ext >= 128 or ext % 2 == 1 then
    return nil
  end
  return flags, ext, 4
end

