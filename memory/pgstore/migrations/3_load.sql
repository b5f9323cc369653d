-- Reads what a cached tail of a session (t_) lacks of the need (n_). It returns no
-- life if there is no session, and no seqs if the tail is all; no system if the
-- tail's is the latest. Being stable, it sees one snapshot.
CREATE FUNCTION mnemo.load_session(
	a_tenant text, a_name text, a_now bigint,
	t_life bigint, t_branch bigint, t_summaries bigint, t_seq bigint, t_first bigint, -- its first and last turn
	t_turns bigint, t_messages bigint, t_groups bigint, t_tokens bigint, -- that it holds
	n_messages bigint, n_groups bigint, n_tokens bigint,
	OUT life bigint, OUT branch bigint, OUT summaries bigint, OUT seq bigint,
	OUT turns bigint, OUT messages bigint, OUT groups bigint, OUT tokens bigint, OUT bytes bigint,
	OUT system bytea, OUT persona bytea, OUT summary bytea,
	OUT seqs bigint[], OUT read bytea[] -- live turns, newest first
) LANGUAGE plpgsql STABLE AS $body$
#variable_conflict use_column
DECLARE
	s mnemo.sessions;
	-- A cursor's plan is one that is quick to begin: it does not sort the log.
	log CURSOR (first bigint, last bigint) FOR SELECT seq, messages, groups, tokens, turn FROM mnemo.turns
		WHERE session = s.id AND seq BETWEEN first AND last AND superseded_by = 0 ORDER BY seq DESC;
BEGIN
	SELECT * INTO s FROM mnemo.sessions
	WHERE tenant = a_tenant AND name = a_name AND (expires_at = 0 OR expires_at > a_now);
	IF NOT FOUND THEN
		RETURN;
	END IF;
	life := s.id; branch := s.branch; summaries := s.summaries; seq := s.seq;
	turns := s.turns; messages := s.messages; groups := s.groups; tokens := s.tokens; bytes := s.bytes;
	IF t_life <> s.id OR t_branch <> s.branch OR t_seq > s.seq THEN
		t_life := 0; t_seq := 0; t_first := 1;
		t_turns := 0; t_messages := 0; t_groups := 0; t_tokens := 0;
	ELSIF t_seq = s.seq AND t_summaries = s.summaries
		AND (t_turns = s.turns OR n_messages <= t_messages AND n_groups <= t_groups AND n_tokens <= t_tokens) THEN
		RETURN;
	END IF;
	IF t_life = 0 OR s.instructed > t_seq OR t_summaries <> s.summaries THEN
		SELECT d.system, d.persona, d.summary INTO system, persona, summary FROM mnemo.details d WHERE d.session = s.id;
	END IF;

	seqs := '{}'; read := '{}';
	FOR t IN log (t_seq + 1, s.seq) LOOP
		IF n_messages <= 0 AND n_groups <= 0 AND n_tokens <= 0 THEN
			RETURN;
		END IF;
		seqs := seqs || t.seq; read := read || t.turn;
		n_messages := n_messages - t.messages; n_groups := n_groups - t.groups; n_tokens := n_tokens - t.tokens;
	END LOOP;
	n_messages := n_messages - t_messages; n_groups := n_groups - t_groups; n_tokens := n_tokens - t_tokens;
	IF n_messages <= 0 AND n_groups <= 0 AND n_tokens <= 0 THEN
		RETURN;
	END IF;
	FOR t IN log (1, t_first - 1) LOOP
		EXIT WHEN n_messages <= 0 AND n_groups <= 0 AND n_tokens <= 0;
		seqs := seqs || t.seq; read := read || t.turn;
		n_messages := n_messages - t.messages; n_groups := n_groups - t.groups; n_tokens := n_tokens - t.tokens;
	END LOOP;
END
$body$;
