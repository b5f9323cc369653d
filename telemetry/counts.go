package telemetry

import "go.opentelemetry.io/otel/attribute"

// A modelKey is whose tokens are counted. Its model is a label, not a name.
type modelKey struct{ operation, model, upstream string }

type tokensKey struct {
	modelKey
	source   UsageSource
	modality string
}

// Private

func (k modelKey) labels() []attribute.KeyValue {
	attrs := []attribute.KeyValue{
		operationName.String(k.operation),
		providerName.String(providerOpenAI),
		requestModel.String(k.model),
	}
	if k.upstream != "" {
		attrs = append(attrs, upstreamName.String(k.upstream))
	}
	return attrs[:len(attrs):len(attrs)] // appending copies
}

func (k tokensKey) labels() []attribute.KeyValue {
	return append(k.modelKey.labels(), usageSource.String(string(k.source)), tokenModality.String(k.modality))
}

var otherModel = modelKey{operation: operationChat, model: other, upstream: other}

// instrumentUsage creates what counts tokens: a histogram by v1.41 of the
// conventions, counters by the latest.
func (t *Telemetry) instrumentUsage(m *maker) {
	if t.semconv.v141() {
		t.tokens = m.tokens(metricTokens, "Tokens of a chat call.")
	}
	if t.semconv.latest() {
		count := func(name, description string) *counter[tokensKey] {
			return newCounter(m, name, "{token}", description, tokensKey{otherModel, other, modalityUnknown}, tokensKey.labels)
		}
		t.input = count(metricInput, "Tokens of prompts, cached ones included.")
		t.output = count(metricOutput, "Tokens of answers, reasoning included.")
		t.cacheRead = count(metricCacheRead, "Tokens of prompts that were read from the provider's cache.")
		t.cacheWrite = count(metricCacheWrite, "Tokens of prompts that were written to the provider's cache.")
		t.reasoning = count(metricReasoning, "Tokens of answers that the model thought.")
	}
	t.prompt = newCounter(m, metricPrompt, "{token}", "Tokens of prompts as the upstreams reported them.", otherModel, modelKey.labels)
	t.promptCached = newCounter(m, metricPromptCached, "{token}", "Tokens of these prompts that were read from the provider's cache.", otherModel, modelKey.labels)
}

// countUsage counts the tokens of a call, or of an attempt that was billed.
func (t *Telemetry) countUsage(key modelKey, u *Usage) {
	if u.Source == Measured {
		t.prompt.add(key, int64(u.Input))
		t.promptCached.add(key, int64(u.CachedInput))
	}
	if t.input == nil {
		return
	}
	add := func(c *counter[tokensKey], modality string, tokens int) {
		c.add(tokensKey{key, u.Source, modality}, int64(tokens))
	}
	add(t.input, modalityUnknown, u.Input-u.AudioInput)
	add(t.output, modalityUnknown, u.Output-u.AudioOutput)
	if u.AudioInput > 0 {
		add(t.input, modalityAudio, u.AudioInput)
	}
	if u.AudioOutput > 0 {
		add(t.output, modalityAudio, u.AudioOutput)
	}
	add(t.cacheRead, modalityUnknown, u.CachedInput)
	add(t.cacheWrite, modalityUnknown, u.CacheWrite)
	add(t.reasoning, modalityUnknown, u.Reasoning)
}
