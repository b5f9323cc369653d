package telemetry

import (
	"cmp"

	"go.opentelemetry.io/otel/attribute"
)

// texts are attributes of a span; those without a value are left out.
type texts []attribute.KeyValue

// Private

func (a *texts) add(key attribute.Key, value string) {
	if value != "" {
		*a = append(*a, key.String(value))
	}
}

func (a *texts) flag(key attribute.Key, value bool) {
	if value {
		*a = append(*a, key.Bool(true))
	}
}

func (a *texts) server(address string, port int) {
	a.add(serverAddress, address)
	if port != 0 {
		*a = append(*a, serverPort.Int(port))
	}
}

func (a *texts) cost(nanoDollars int64) { *a = append(*a, costUSD.Float64(float64(nanoDollars)/nano)) }

func (a *texts) usage(u *Usage, s Semconv) {
	if u.Source == "" {
		return
	}
	*a = append(*a,
		usageSource.String(string(u.Source)),
		usageInput.Int(u.Input),
		usageOutput.Int(u.Output),
		usageCacheRead.Int(u.CachedInput),
		usageReasoning.Int(u.Reasoning))
	some := func(key attribute.Key, tokens int, wanted bool) {
		if wanted && tokens > 0 {
			*a = append(*a, key.Int(tokens))
		}
	}
	some(usageCacheCreation, u.CacheWrite, s.v141())
	some(usageCacheWrite, u.CacheWrite, s.latest())
	some(usageAudioInput, u.AudioInput, s.latest())
	some(usageAudioOutput, u.AudioOutput, s.latest())
}

func (a *texts) memory(m *MemoryUse, s Semconv) {
	if m.Status == "" {
		return
	}
	*a = append(*a,
		memoryStatus.String(m.Status),
		memoryTurns.Int(m.Turns),
		memoryTokens.Int(m.Tokens),
		memorySaved.Int(m.Saved),
		memoryDropped.Int(m.Dropped),
		memorySummary.String(cmp.Or(m.Summary, "none")))
	a.flag(conversationCompacted, s.latest() && m.Summary == "used")
}

// attributes is all that a call's span says of it, but for the content.
func (c *ChatCall) attributes(failure string, s Semconv) []attribute.KeyValue {
	attrs := make(texts, 0, 36)
	attrs.add(requestIdentity, clip(c.RequestID))
	attrs.add(conversationID, c.Session)
	attrs.add(tenantName, clip(c.Tenant))
	attrs.add(responseID, clip(c.ResponseID))
	attrs.add(responseModel, clip(c.ResponseModel))
	attrs.add(responseTier, clip(c.ServiceTier))
	attrs.add(responsePrint, clip(c.Fingerprint))
	attrs.add(upstreamName, c.Upstream)
	attrs.add(upstreamKey, c.KeyLabel)
	attrs.add(errorType, failure)
	if reasons := c.finishReasons(); len(reasons) > 0 {
		attrs = append(attrs, responseFinish.StringSlice(reasons))
	}
	address, port := c.server()
	attrs.server(address, port)
	if !c.FirstChunk.IsZero() {
		attrs = append(attrs, responseFirstChunk.Float64(c.FirstChunk.Sub(c.Start).Seconds()))
	}
	attrs.usage(&c.Usage, s)
	if cost, priced := c.Total(); priced {
		attrs.cost(cost)
		attrs.add(costSource, string(c.CostSource))
	}
	attrs.flag(answerCached, c.Cached)
	attrs.flag(answerDegraded, c.Degraded)
	attrs.memory(&c.Memory, s)
	attrs = append(attrs,
		requestStream.Bool(c.Stream),
		upstreamTries.Int(c.Attempts),
		httpResponseStatus.Int(c.Status))
	attrs.request(c.Body, s)
	return attrs
}

// finishReasons is why each choice ended.
func (c *ChatCall) finishReasons() []string {
	reasons := c.FinishReasons
	if len(reasons) == 0 && c.FinishReason != "" {
		reasons = []string{c.FinishReason}
	}
	reasons = reasons[:min(len(reasons), maxListed)]
	clipped := make([]string, len(reasons))
	for i, reason := range reasons {
		clipped[i] = clip(reason)
	}
	return clipped
}

// server is whom the call was answered by.
func (c *ChatCall) server() (address string, port int) {
	if c.ServerAddress != "" {
		return c.ServerAddress, c.ServerPort
	}
	for i := len(c.Tries) - 1; i >= 0; i-- {
		if a := &c.Tries[i]; a.Upstream == c.Upstream && a.ServerAddress != "" && !a.failed() {
			return a.ServerAddress, a.ServerPort
		}
	}
	return "", 0
}
