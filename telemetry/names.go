package telemetry

import "go.opentelemetry.io/otel/attribute"

// Names of the OpenTelemetry GenAI conventions, v1.41.
const (
	operationName = attribute.Key("gen_ai.operation.name")
	providerName  = attribute.Key("gen_ai.provider.name")
	requestModel  = attribute.Key("gen_ai.request.model")
	tokenType     = attribute.Key("gen_ai.token.type")
	serverAddress = attribute.Key("server.address")
	serverPort    = attribute.Key("server.port")
	errorType     = attribute.Key("error.type")

	conversationID      = attribute.Key("gen_ai.conversation.id")
	requestStream       = attribute.Key("gen_ai.request.stream")
	responseID          = attribute.Key("gen_ai.response.id")
	responseModel       = attribute.Key("gen_ai.response.model")
	responseFinish      = attribute.Key("gen_ai.response.finish_reasons")
	responseFirstChunk  = attribute.Key("gen_ai.response.time_to_first_chunk")
	usageInput          = attribute.Key("gen_ai.usage.input_tokens")
	usageOutput         = attribute.Key("gen_ai.usage.output_tokens")
	usageCacheRead      = attribute.Key("gen_ai.usage.cache_read.input_tokens")
	usageReasoning      = attribute.Key("gen_ai.usage.reasoning.output_tokens")
	metricTokens        = "gen_ai.client.token.usage"
	metricDuration      = "gen_ai.client.operation.duration"
	metricFirstChunk    = "gen_ai.client.operation.time_to_first_chunk"
	metricPerChunk      = "gen_ai.client.operation.time_per_output_chunk"
	operationChat       = "chat"
	operationSummary    = "summarize"
	providerOpenAI      = "openai" // the API that is spoken, whoever serves it
	tokenInput          = "input"
	tokenOutput         = "output"
	errorOther          = "_OTHER"
	httpRoute           = attribute.Key("http.route")
	httpResponseStatus  = attribute.Key("http.response.status_code")
	eventAttempt        = "mnemo.upstream.attempt"
	instrumentationName = "mnemo"
)

// Names of our own.
const (
	statusClass    = attribute.Key("mnemo.http.status_class")
	upstreamName   = attribute.Key("mnemo.upstream.name")
	upstreamKey    = attribute.Key("mnemo.upstream.key")
	upstreamTries  = attribute.Key("mnemo.upstream.attempts")
	attemptOutcome = attribute.Key("mnemo.upstream.outcome")
	usageSource    = attribute.Key("mnemo.usage.source")
	storeOperation = attribute.Key("mnemo.store.operation")
	summaryOutcome = attribute.Key("mnemo.summary.outcome")
	queuePlace     = attribute.Key("mnemo.store.queue.place")
	memoryStatus   = attribute.Key("mnemo.memory.status")
	memoryTurns    = attribute.Key("mnemo.memory.turns")
	memoryTokens   = attribute.Key("mnemo.memory.tokens")
	memoryDropped  = attribute.Key("mnemo.memory.dropped")
	memorySummary  = attribute.Key("mnemo.memory.summary")
	buildVersion   = attribute.Key("version")
	buildGo        = attribute.Key("go_version")

	metricRequests      = "mnemo.http.requests"
	metricInFlight      = "mnemo.http.requests.in_flight"
	metricStoreDuration = "mnemo.store.duration"
	metricStoreErrors   = "mnemo.store.errors"
	metricMemoryCalls   = "mnemo.memory.calls"
	metricMemoryTurns   = "mnemo.memory.turns"
	metricMemoryTokens  = "mnemo.memory.tokens"
	metricMemoryDropped = "mnemo.memory.dropped"
	metricSummaries     = "mnemo.summaries"
	metricStoreDown     = "mnemo.store.down"
	metricStoreQueued   = "mnemo.store.queue.turns"
	metricStoreBytes    = "mnemo.store.queue.bytes"
	metricStoreLost     = "mnemo.store.queue.lost"
	metricAttempts      = "mnemo.upstream.attempts"
	metricUpInFlight    = "mnemo.upstream.in_flight"
	metricBreaker       = "mnemo.upstream.breaker.state"
	metricCooldown      = "mnemo.upstream.key.cooldown"
	metricLogDropped    = "mnemo.log.dropped"
	metricBuild         = "mnemo.build.info"
)
