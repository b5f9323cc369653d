package pgstore

// Private

const (
	// found is true of the session with the key $1, $2, if it has not expired by $3.
	found = `tenant = $1 AND name = $2 AND (expires_at = 0 OR expires_at > $3)`

	// described are the columns of an Info that a list has too.
	described = `tenant, name, title, created_at, updated_at, expires_at, seq,
		turns, messages, groups, tokens, bytes, input, cached_input, output, cost, unpriced`
)

// statements are the texts that a store sends, each with its schema's name.
type statements struct {
	load, add, delivered, turns, find, info string
	compact, lease, release                 string
	remove, removeAt, removeExpired, room   string
	create, detail                          string
	ping, durable                           string
}

func statementsIn(schema string) statements {
	return statements{
		load: in(schema, `SELECT life, branch, summaries, seq, turns, messages, groups, tokens, bytes,
				system, persona, summary, seqs, read
			FROM mnemo.load_session($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
			WHERE life IS NOT NULL`),
		add: in(schema, `SELECT life, branch, summaries, seq, turns, messages, groups, tokens, bytes, began
			FROM mnemo.append_turn($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
				$14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)
			WHERE life IS NOT NULL`),
		delivered: in(schema, `SELECT t.seq FROM mnemo.sessions JOIN mnemo.turns t ON session = sessions.id
			WHERE `+found+` AND t.id = $4 AND t.id <> ''`),
		turns: in(schema, `SELECT t.seq, superseded_by, turn FROM mnemo.sessions JOIN mnemo.turns t ON session = sessions.id
			WHERE `+found+` AND t.seq < $4 ORDER BY t.seq DESC LIMIT $5`),
		find: in(schema, `SELECT links.seq FROM mnemo.sessions
			CROSS JOIN unnest($4::bigint[]) WITH ORDINALITY AS wanted (link, place)
			JOIN mnemo.links ON session = id AND links.link = wanted.link
			WHERE `+found+` ORDER BY place, links.seq DESC LIMIT 1`),
		info: in(schema, `SELECT `+described+`, system, persona, summaries, summary
			FROM mnemo.sessions JOIN mnemo.details ON session = id WHERE `+found),

		compact: in(schema, `WITH seen AS (
				UPDATE mnemo.sessions SET summaries = summaries + 1, summed_up_to = $7
				WHERE `+found+` AND id = $4 AND branch = $5 AND summaries = $6 RETURNING id)
			UPDATE mnemo.details SET summary = $8 FROM seen WHERE session = id`),
		lease: in(schema, `INSERT INTO mnemo.leases AS old (session, holder, until)
				SELECT id, $4, $5 FROM mnemo.sessions WHERE `+found+` FOR KEY SHARE
			ON CONFLICT (session) DO UPDATE SET holder = excluded.holder, until = excluded.until
				WHERE old.holder = excluded.holder OR old.until <= $3`),
		release: in(schema, `DELETE FROM mnemo.leases USING mnemo.sessions
			WHERE session = id AND holder = $4 AND `+found),

		remove: in(schema, `DELETE FROM mnemo.sessions WHERE tenant = $1 AND name = $2`),
		removeAt: in(schema, `WITH gone AS (DELETE FROM mnemo.sessions WHERE `+found+` AND seq = $4 RETURNING id)
			SELECT (SELECT count(*) FROM gone) > 0, EXISTS (SELECT FROM mnemo.sessions WHERE `+found+`)`),
		removeExpired: in(schema, `DELETE FROM mnemo.sessions WHERE id IN (
			SELECT id FROM mnemo.sessions WHERE expires_at > 0 AND expires_at <= $1
			ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)`),
		room: in(schema, `DELETE FROM mnemo.sessions
			WHERE tenant = $1 AND name = $2 AND expires_at > 0 AND expires_at <= $3`),

		create: in(schema, `INSERT INTO mnemo.sessions (tenant, name, seq, branch, instructed, summaries, summed_up_to,
				turns, messages, groups, tokens, bytes, input, cached_input, output, cost, unpriced,
				created_at, updated_at, expires_at)
			VALUES ($1, $2, $3, $4, $3, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
			ON CONFLICT DO NOTHING RETURNING id`),
		detail: in(schema, `INSERT INTO mnemo.details (session, title, folded, system, persona, summary)
			VALUES ($1, $2, $3, $4, $5, $6)`),

		// It deletes nothing, but only who may write can do it.
		ping:    in(schema, `DELETE FROM mnemo.sessions WHERE tenant = ''`),
		durable: `SELECT name FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit') AND setting = 'off'`,
	}
}
