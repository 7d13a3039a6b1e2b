// Samplers that keep the same traces as all other services do.
//
// A ratio looks at the last eight bytes of the trace id, as OpenTelemetry's SDKs for Go, Java and
// Python do; the one for JavaScript mixes all of it, and would keep other traces than its peers.

import {
  AlwaysOffSampler, AlwaysOnSampler, ParentBasedSampler, SamplingDecision
} from '@opentelemetry/sdk-trace-node'

/** Whether a trace is in that part of all traces; a part of it is kept by every smaller ratio. */
export function ratioKeeps (ratio, traceId) {
  if (ratio >= 1) return true
  // 52 bits of the 63, which a double holds exactly.
  const bits = (BigInt(`0x${traceId.slice(16)}`) & 0xffffffffffffffffn) >> 1n
  return Number(bits >> 11n) < ratio * 2 ** 52
}

class RatioSampler {
  #ratio

  constructor (ratio) {
    this.#ratio = ratio
  }

  shouldSample (_context, traceId) {
    const keeps = ratioKeeps(this.#ratio, traceId)
    return { decision: keeps ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.NOT_RECORD }
  }

  toString () {
    return `RatioSampler{${this.#ratio}}`
  }
}

const ROOTS = {
  always_on: () => new AlwaysOnSampler(),
  always_off: () => new AlwaysOffSampler(),
  traceidratio: (ratio) => new RatioSampler(ratio)
}

export function samplerOf (name, ratio) {
  const asksParent = name.startsWith('parentbased_')
  const root = ROOTS[name.replace('parentbased_', '')](ratio)
  return asksParent ? new ParentBasedSampler({ root }) : root
}
