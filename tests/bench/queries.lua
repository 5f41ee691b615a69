-- Requests that all differ in their target, so that the response cache never has the answer.
local number = 0

request = function()
  number = number + 1
  return wrk.format("GET", wrk.path .. string.format("?%012x", number))
end
