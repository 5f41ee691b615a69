-- Requests as a reverse proxy forwards them: each has its own id, address and trace.
local requests = {}
local at = 0

init = function()
  for number = 1, 20000 do
    local headers = {
      ["X-Request-ID"] = string.format("%08x-%04x-4000-8000-%012x", number * 2654435761 % 4294967296, number % 65536, number),
      ["X-Forwarded-For"] = string.format("203.0.%d.%d", number % 256, math.floor(number / 256) % 256),
      ["X-Forwarded-Proto"] = "https",
      ["X-Forwarded-Host"] = "issuer.example",
      ["X-Real-IP"] = string.format("203.0.%d.%d", number % 256, math.floor(number / 256) % 256),
      ["traceparent"] = string.format("00-%032x-%016x-01", number, number),
      ["Via"] = "1.1 proxy",
      ["User-Agent"] = "Go-http-client/1.1",
    }
    requests[number] = wrk.format("GET", nil, headers)
  end
end

request = function()
  at = at % #requests + 1
  return requests[at]
end
