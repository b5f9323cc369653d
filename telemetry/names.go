package telemetry

import "go.opentelemetry.io/otel/attribute"

// Attributes of the OpenTelemetry GenAI conventions, v1.41.
const (
	operationName = attribute.Key("gen_ai.operation.name")
	providerName  = attribute.Key("gen_ai.provider.name")
	requestModel  = attribute.Key("gen_ai.request.model")
	tokenType     = attribute.Key("gen_ai.token.type")
	serverAddress = attribute.Key("server.address")
	serverPort    = attribute.Key("server.port")
	errorType     = attribute.Key("error.type")

	conversationID     = attribute.Key("gen_ai.conversation.id")
	outputType         = attribute.Key("gen_ai.output.type")
	requestStream      = attribute.Key("gen_ai.request.stream")
	requestChoices     = attribute.Key("gen_ai.request.choice.count")
	requestSeed        = attribute.Key("gen_ai.request.seed")
	requestTemperature = attribute.Key("gen_ai.request.temperature")
	requestTopP        = attribute.Key("gen_ai.request.top_p")
	requestFrequency   = attribute.Key("gen_ai.request.frequency_penalty")
	requestPresence    = attribute.Key("gen_ai.request.presence_penalty")
	requestMaxTokens   = attribute.Key("gen_ai.request.max_tokens")
	requestStop        = attribute.Key("gen_ai.request.stop_sequences")
	requestTier        = attribute.Key("openai.request.service_tier")
	responseID         = attribute.Key("gen_ai.response.id")
	responseModel      = attribute.Key("gen_ai.response.model")
	responseFinish     = attribute.Key("gen_ai.response.finish_reasons")
	responseFirstChunk = attribute.Key("gen_ai.response.time_to_first_chunk")
	responseTier       = attribute.Key("openai.response.service_tier")
	responsePrint      = attribute.Key("openai.response.system_fingerprint")
	usageInput         = attribute.Key("gen_ai.usage.input_tokens")
	usageOutput        = attribute.Key("gen_ai.usage.output_tokens")
	usageCacheRead     = attribute.Key("gen_ai.usage.cache_read.input_tokens")
	usageCacheCreation = attribute.Key("gen_ai.usage.cache_creation.input_tokens")
	usageReasoning     = attribute.Key("gen_ai.usage.reasoning.output_tokens")

	inputMessages      = attribute.Key("gen_ai.input.messages")
	outputMessages     = attribute.Key("gen_ai.output.messages")
	systemInstructions = attribute.Key("gen_ai.system_instructions")

	httpRoute          = attribute.Key("http.route")
	httpResponseStatus = attribute.Key("http.response.status_code")
)

// Attributes that the conventions have gained since.
const (
	conversationCompacted = attribute.Key("gen_ai.conversation.compacted")
	memoryRecords         = attribute.Key("gen_ai.memory.record.count")
	requestReasoning      = attribute.Key("gen_ai.request.reasoning.level")
	tokenModality         = attribute.Key("gen_ai.token.modality")
	usageCacheWrite       = attribute.Key("gen_ai.usage.cache_write.input_tokens")
	usageAudioInput       = attribute.Key("gen_ai.usage.audio.input_tokens")
	usageAudioOutput      = attribute.Key("gen_ai.usage.audio.output_tokens")
)

// Values of attributes of the conventions.
const (
	operationChat    = "chat"
	operationSummary = "summarize"
	operationSearch  = "search_memory"
	operationCreate  = "create_memory"
	operationUpsert  = "upsert_memory"
	operationDelete  = "delete_memory"
	providerOpenAI   = "openai" // the API that is spoken, whoever serves it
	tokenInput       = "input"
	tokenOutput      = "output"
	modalityAudio    = "audio"
	modalityUnknown  = "unknown"
	errorOther       = "_OTHER"
)

// Attributes of our own.
const (
	statusClass       = attribute.Key("mnemo.http.status_class")
	requestIdentity   = attribute.Key("mnemo.request.id")
	tenantName        = attribute.Key("mnemo.tenant")
	upstreamName      = attribute.Key("mnemo.upstream.name")
	upstreamKey       = attribute.Key("mnemo.upstream.key")
	upstreamTries     = attribute.Key("mnemo.upstream.attempts")
	attemptOutcome    = attribute.Key("mnemo.upstream.outcome")
	attemptKind       = attribute.Key("mnemo.upstream.attempt")
	attemptBreaker    = attribute.Key("mnemo.upstream.breaker")
	attemptBilled     = attribute.Key("mnemo.upstream.billed")
	usageSource       = attribute.Key("mnemo.usage.source")
	costUSD           = attribute.Key("mnemo.cost.usd")
	costSource        = attribute.Key("mnemo.cost.source")
	answerCached      = attribute.Key("mnemo.cached")
	answerDegraded    = attribute.Key("mnemo.degraded")
	contentCut        = attribute.Key("mnemo.content.cut")
	overheadComponent = attribute.Key("mnemo.overhead.component")
	storeOperation    = attribute.Key("mnemo.store.operation")
	summaryOutcome    = attribute.Key("mnemo.summary.outcome")
	queuePlace        = attribute.Key("mnemo.store.queue.place")
	memoryStatus      = attribute.Key("mnemo.memory.status")
	memoryTurns       = attribute.Key("mnemo.memory.turns")
	memoryTokens      = attribute.Key("mnemo.memory.tokens")
	memorySaved       = attribute.Key("mnemo.memory.saved")
	memoryDropped     = attribute.Key("mnemo.memory.dropped")
	memorySummary     = attribute.Key("mnemo.memory.summary")
	cacheResult       = attribute.Key("mnemo.cache.result")
	budgetRule        = attribute.Key("mnemo.budget.rule")
	budgetAction      = attribute.Key("mnemo.budget.action")
	reloadOutcome     = attribute.Key("mnemo.config.outcome")
	droppedSignal     = attribute.Key("mnemo.telemetry.signal")
	buildVersion      = attribute.Key("version")
	buildGo           = attribute.Key("go_version")
)

// Spans and events of our own.
const (
	instrumentationName = "mnemo"

	spanLoad        = "load"
	spanCompose     = "compose"
	spanAttempt     = "attempt"
	spanCommit      = "commit"
	spanDelete      = "delete"
	eventFirstToken = "mnemo.first_token"
)

// Metrics of the conventions, v1.41.
const (
	metricTokens     = "gen_ai.client.token.usage"
	metricDuration   = "gen_ai.client.operation.duration"
	metricFirstChunk = "gen_ai.client.operation.time_to_first_chunk"
	metricPerChunk   = "gen_ai.client.operation.time_per_output_chunk"
)

// Metrics that the conventions have gained since.
const (
	metricInput      = "gen_ai.client.inference.usage.input_tokens"
	metricOutput     = "gen_ai.client.inference.usage.output_tokens"
	metricCacheRead  = "gen_ai.client.inference.usage.cache_read.input_tokens"
	metricCacheWrite = "gen_ai.client.inference.usage.cache_write.input_tokens"
	metricReasoning  = "gen_ai.client.inference.usage.reasoning.output_tokens"
)

// Metrics of our own.
const (
	metricRequests      = "mnemo.http.requests"
	metricInFlight      = "mnemo.http.requests.in_flight"
	metricOverhead      = "mnemo.overhead"
	metricCost          = "mnemo.cost.usd"
	metricUnpriced      = "mnemo.cost.unpriced"
	metricPrompt        = "mnemo.prompt.tokens"
	metricPromptCached  = "mnemo.prompt.cached_tokens"
	metricStoreDuration = "mnemo.store.duration"
	metricStoreErrors   = "mnemo.store.errors"
	metricStoreDown     = "mnemo.store.down"
	metricStoreQueued   = "mnemo.store.queue.turns"
	metricStoreBytes    = "mnemo.store.queue.bytes"
	metricStoreLost     = "mnemo.store.queue.lost"
	metricMemoryCalls   = "mnemo.memory.calls"
	metricMemoryTurns   = "mnemo.memory.turns"
	metricMemoryTokens  = "mnemo.memory.tokens"
	metricMemorySaved   = "mnemo.memory.saved"
	metricMemoryDropped = "mnemo.memory.dropped"
	metricSummaries     = "mnemo.summaries"
	metricAttempts      = "mnemo.upstream.attempts"
	metricRetries       = "mnemo.upstream.retries"
	metricFallbacks     = "mnemo.upstream.fallbacks"
	metricHedges        = "mnemo.upstream.hedges"
	metricRescues       = "mnemo.upstream.rescues"
	metricUpInFlight    = "mnemo.upstream.in_flight"
	metricUpQueued      = "mnemo.upstream.queued"
	metricBreaker       = "mnemo.upstream.breaker.state"
	metricCooldown      = "mnemo.upstream.key.cooldown"
	metricAnswers       = "mnemo.cache.lookups"
	metricBudgets       = "mnemo.budget.crossings"
	metricLedgerRows    = "mnemo.ledger.rows"
	metricLedgerLost    = "mnemo.ledger.lost"
	metricLedgerWaiting = "mnemo.ledger.waiting"
	metricReloads       = "mnemo.config.reloads"
	metricStale         = "mnemo.config.stale"
	metricDropped       = "mnemo.telemetry.dropped"
	metricBuild         = "mnemo.build.info"
)
