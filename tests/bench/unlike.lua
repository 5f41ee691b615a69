-- Requests of which no two are alike in a field that counts, so that nothing that was learned helps.
local number = 0

request = function()
  number = number + 1
  return wrk.format("GET", nil, {["X-Unlike"] = string.format("%012x", number)})
end
