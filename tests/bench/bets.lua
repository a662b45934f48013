-- Single-bet requests over all customers, for wrk: each bet new, from the number given after `--` upwards.
local n, customers = 0, 10000
local shape = '{"bets":[{"user":{"client":"acme","uid":%d,"ip":"203.0.113.9"},"pool":{"client":"acme",' ..
  '"currency":"EUR","game":"betflex","uid":%d,"overdraw":"21.00"},"bet":{"uid":%d,"amount":"1.00"}}]}'

function init(args)
  n = tonumber(args[1])
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  n = n + 1
  return wrk.format(nil, "/bets", nil, string.format(shape, 1 + (n * 7919) % customers, n % 500, n))
end

function done(summary, latency)
  local bad = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write +
    summary.errors.timeout
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration, bad,
    latency:percentile(50), latency:percentile(99)))
end
