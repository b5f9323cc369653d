-- A session's id is never used again, so it names one life of the session.
-- Times are milliseconds since 1970. The row is written with every turn: what is
-- large or seldom written is kept apart.
CREATE TABLE mnemo.sessions (
	id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	tenant       text COLLATE "C" NOT NULL,
	name         text COLLATE "C" NOT NULL,
	seq          bigint NOT NULL, -- of the last turn
	branch       bigint NOT NULL DEFAULT 0, -- the last turn that superseded others
	instructed   bigint NOT NULL DEFAULT 0, -- the last turn that changed system or persona
	summaries    bigint NOT NULL DEFAULT 0, -- how often the summary was replaced or forgotten
	summed_up_to bigint NOT NULL DEFAULT 0, -- the last turn that it covers; 0: there is none
	turns        bigint NOT NULL, -- totals over live turns
	messages     bigint NOT NULL,
	groups       bigint NOT NULL,
	tokens       bigint NOT NULL,
	bytes        bigint NOT NULL, -- totals over all turns
	input        bigint NOT NULL,
	cached_input bigint NOT NULL,
	output       bigint NOT NULL,
	cost         bigint NOT NULL,
	unpriced     bigint NOT NULL,
	created_at   bigint NOT NULL,
	updated_at   bigint NOT NULL, -- the last turn
	expires_at   bigint NOT NULL, -- 0: never
	UNIQUE (tenant, name)
);
CREATE INDEX sessions_of_tenant ON mnemo.sessions (tenant, updated_at, name);
CREATE INDEX sessions_of_all ON mnemo.sessions (updated_at, name, tenant);
CREATE INDEX sessions_expiring ON mnemo.sessions (expires_at) WHERE expires_at > 0;

-- bytea is what clients said, byte for byte; convert_from(system, 'UTF8') shows it.
CREATE TABLE mnemo.details (
	session bigint PRIMARY KEY REFERENCES mnemo.sessions ON DELETE CASCADE,
	title   bytea NOT NULL,
	folded  bytea NOT NULL, -- the title as it is searched
	system  bytea NOT NULL, -- JSON
	persona bytea NOT NULL,
	summary bytea -- JSON
);

CREATE TABLE mnemo.turns (
	session       bigint NOT NULL REFERENCES mnemo.sessions ON DELETE CASCADE,
	seq           bigint NOT NULL,
	superseded_by bigint NOT NULL, -- 0: it is live
	supersedes    bigint NOT NULL, -- the first of the turns that it supersedes; 0: none
	messages      bigint NOT NULL,
	groups        bigint NOT NULL,
	tokens        bigint NOT NULL,
	id            bytea NOT NULL,
	turn          bytea NOT NULL, -- JSON
	PRIMARY KEY (session, seq)
);
-- What was sent twice cannot be stored twice, even at the same time.
CREATE UNIQUE INDEX turns_id ON mnemo.turns (session, id) WHERE id <> '';

-- The links of live turns.
CREATE TABLE mnemo.links (
	session bigint NOT NULL REFERENCES mnemo.sessions ON DELETE CASCADE,
	link    bigint NOT NULL,
	seq     bigint NOT NULL,
	PRIMARY KEY (session, link, seq)
);

CREATE TABLE mnemo.leases (
	session bigint PRIMARY KEY REFERENCES mnemo.sessions ON DELETE CASCADE,
	holder  bytea NOT NULL,
	until   bigint NOT NULL
);
