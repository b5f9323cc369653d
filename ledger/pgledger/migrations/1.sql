-- Texts are compared byte by byte, as everywhere else.
CREATE TABLE mnemo.ledger_calls (
	uid       bytea PRIMARY KEY,
	at        bigint NOT NULL, -- milliseconds since 1970
	tenant    text COLLATE "C" NOT NULL, -- '': none
	session   text COLLATE "C" NOT NULL, -- '': none, or forgotten
	operation text COLLATE "C" NOT NULL,
	model     text COLLATE "C" NOT NULL,
	upstream  text COLLATE "C" NOT NULL,
	key_label text COLLATE "C" NOT NULL,
	id        text COLLATE "C" NOT NULL,
	calls bigint NOT NULL, measured bigint NOT NULL, estimated bigint NOT NULL, unpriced bigint NOT NULL,
	errors bigint NOT NULL, cached bigint NOT NULL, degraded bigint NOT NULL, streams bigint NOT NULL, attempts bigint NOT NULL,
	input bigint NOT NULL, cached_input bigint NOT NULL, cache_write bigint NOT NULL, output bigint NOT NULL,
	reasoning bigint NOT NULL, audio_input bigint NOT NULL, audio_output bigint NOT NULL, cost bigint NOT NULL,
	latency_us bigint NOT NULL, first_tokens bigint NOT NULL, first_token_us bigint NOT NULL,
	memory_tokens bigint NOT NULL, memory_dropped bigint NOT NULL,
	full_calls bigint NOT NULL, full_input bigint NOT NULL, full_used_input bigint NOT NULL,
	full_priced bigint NOT NULL, full_cost bigint NOT NULL, full_cost_cached bigint NOT NULL, full_used_cost bigint NOT NULL
);
CREATE INDEX ledger_calls_at ON mnemo.ledger_calls (at);
CREATE INDEX ledger_calls_of_tenant ON mnemo.ledger_calls (tenant, at);
CREATE INDEX ledger_calls_of_session ON mnemo.ledger_calls (session, tenant) WHERE session <> '';
CREATE INDEX ledger_calls_by_id ON mnemo.ledger_calls (id, at);

-- Apart, so that adding calls up reads few pages.
CREATE TABLE mnemo.ledger_entries (
	uid   bytea PRIMARY KEY REFERENCES mnemo.ledger_calls ON DELETE CASCADE,
	entry text NOT NULL -- JSON
);

CREATE TABLE mnemo.ledger_days (
	at        bigint NOT NULL,
	tenant    text COLLATE "C" NOT NULL,
	operation text COLLATE "C" NOT NULL,
	model     text COLLATE "C" NOT NULL,
	upstream  text COLLATE "C" NOT NULL,
	key_label text COLLATE "C" NOT NULL,
	calls bigint NOT NULL, measured bigint NOT NULL, estimated bigint NOT NULL, unpriced bigint NOT NULL,
	errors bigint NOT NULL, cached bigint NOT NULL, degraded bigint NOT NULL, streams bigint NOT NULL, attempts bigint NOT NULL,
	input bigint NOT NULL, cached_input bigint NOT NULL, cache_write bigint NOT NULL, output bigint NOT NULL,
	reasoning bigint NOT NULL, audio_input bigint NOT NULL, audio_output bigint NOT NULL, cost bigint NOT NULL,
	latency_us bigint NOT NULL, first_tokens bigint NOT NULL, first_token_us bigint NOT NULL,
	memory_tokens bigint NOT NULL, memory_dropped bigint NOT NULL,
	full_calls bigint NOT NULL, full_input bigint NOT NULL, full_used_input bigint NOT NULL,
	full_priced bigint NOT NULL, full_cost bigint NOT NULL, full_cost_cached bigint NOT NULL, full_used_cost bigint NOT NULL,
	PRIMARY KEY (at, tenant, operation, model, upstream, key_label)
);
CREATE INDEX ledger_days_of_tenant ON mnemo.ledger_days (tenant, at);
