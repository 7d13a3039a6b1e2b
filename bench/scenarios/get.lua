-- GET /api/v1/items/{id} of items drawn at random. Arguments after `--`: a file of paths.

local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  requests = {}
  for path in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("GET", path)
  end
  math.randomseed(number)
end

function request()
  return requests[math.random(#requests)]
end

dofile(os.getenv("BENCH_REPORT"))
