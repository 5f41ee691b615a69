-- Requests as an ingress controller forwards them: each has its own id and trace, which are of one length, and its
-- client's address, which is not.
local requests = {}
local at = 0

local function address(number)
  local parts = {number % 223 + 1, number * 7 % 256, number * 13 % 256, number * 31 % 256}
  return table.concat(parts, ".")
end

init = function()
  for number = 1, 20000 do
    local client = address(number)
    local headers = {
      ["X-Request-ID"] = string.format("%08x%08x%016x", number * 2654435761 % 4294967296, number, number * 40503),
      ["X-Forwarded-For"] = client,
      ["X-Forwarded-Host"] = "issuer.example",
      ["X-Forwarded-Port"] = "443",
      ["X-Forwarded-Proto"] = "https",
      ["X-Forwarded-Scheme"] = "https",
      ["X-Real-IP"] = client,
      ["X-Scheme"] = "https",
      ["traceparent"] = string.format("00-%032x-%016x-01", number, number),
      ["User-Agent"] = "Go-http-client/1.1",
    }
    requests[number] = wrk.format("GET", nil, headers)
  end
end

request = function()
  at = at % #requests + 1
  return requests[at]
end
