-- Bodies in turn, out of the file that ANDON_BODIES names; a line of JSON at the end. See benchmarks/serving_load.py.
local requests, turn = {}, 0

init = function(args)
  local headers = { ["Content-Type"] = "application/json" }
  local token = os.getenv("ANDON_BENCH_TOKEN")
  if token then headers["Authorization"] = "Bearer " .. token end
  for line in io.lines(os.getenv("ANDON_BODIES")) do
    requests[#requests + 1] = wrk.format("POST", nil, headers, line)
  end
end

request = function()
  turn = turn % #requests + 1
  return requests[turn]
end

done = function(summary, latency, _)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "refused": %d, "failed": %d, "p50_ms": %.4f, "p99_ms": %.4f}\n',
    summary.requests, summary.duration / 1e6, summary.errors.status, failed,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
