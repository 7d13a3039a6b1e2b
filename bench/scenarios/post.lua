-- POST /api/v1/items: a new item and a new Idempotency-Key with each request.
-- Arguments after `--`: a word that no other run has used.

local threads = 0
local format = string.format

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  prefix = args[1] .. number .. "-"
  count = 0
  head = { ["Content-Type"] = "application/json" }
end

function request()
  count = count + 1
  head["Idempotency-Key"] = format("%s%08d", prefix, count)
  local body = format('{"sku":"%s%08d","name":"Bolt M8 x 40","price_cents":125,'
    .. '"description":"Zinc-plated, with nut."}', prefix, count)
  return wrk.format("POST", "/api/v1/items", head, body)
end

dofile(os.getenv("BENCH_REPORT"))
