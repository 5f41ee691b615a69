-- Requests that all differ in a field that no server reads, and that none has heard of.
local number = 0

request = function()
  number = number + 1
  return wrk.format("GET", nil, {["X-Unlike"] = string.format("%012x", number)})
end
