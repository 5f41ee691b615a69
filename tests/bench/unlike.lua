-- Requests that all differ in a field that matters, so that the response cache never has the answer.
local number = 0

request = function()
  number = number + 1
  return wrk.format("GET", nil, {["X-Unlike"] = string.format("%012x", number)})
end
