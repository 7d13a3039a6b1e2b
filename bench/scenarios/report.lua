-- What a run ends with: one line of JSON. Times are in microseconds.

function done(summary, latency)
  io.write(string.format(
    '\nBENCH {"requests":%d,"us":%d,"p50_us":%d,"p99_us":%d,"failed":%d,"broken":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
