-- Adds a turn and returns the session's head, without a life if the session is
-- full. Appends to one session wait for each other at its row.
CREATE FUNCTION mnemo.append_turn(
	a_tenant text, a_name text, a_now bigint, a_expires bigint, a_limit bigint,
	a_at bigint, a_id bytea, a_turn bytea, a_first bigint, a_last bigint,
	a_plain bytea, -- the turn as it is stored if there are no turns from first to last
	a_messages bigint, a_groups bigint, a_tokens bigint, a_bytes bigint,
	a_input bigint, a_cached bigint, a_output bigint, a_cost bigint, a_unpriced bigint,
	a_system bytea, a_persona bytea, a_title bytea, a_folded bytea, a_links bigint[],
	OUT life bigint, OUT branch bigint, OUT summaries bigint, OUT seq bigint,
	OUT turns bigint, OUT messages bigint, OUT groups bigint, OUT tokens bigint, OUT bytes bigint,
	OUT began boolean -- with this turn
) LANGUAGE plpgsql AS $body$
#variable_conflict use_column
DECLARE
	s mnemo.sessions;
	gone record;
BEGIN
	began := false;
	LOOP
		UPDATE mnemo.sessions SET
			seq = seq + 1, turns = turns + 1, messages = messages + a_messages, groups = groups + a_groups,
			tokens = tokens + a_tokens, bytes = bytes + a_bytes, input = input + a_input, cached_input = cached_input + a_cached,
			output = output + a_output, cost = cost + a_cost, unpriced = unpriced + a_unpriced,
			updated_at = a_at, expires_at = a_expires
		WHERE tenant = a_tenant AND name = a_name AND (expires_at = 0 OR expires_at > a_now) AND bytes + a_bytes <= a_limit
		RETURNING * INTO s;
		EXIT WHEN FOUND;
		IF a_bytes > a_limit THEN
			RETURN;
		END IF;
		SELECT * INTO s FROM mnemo.sessions WHERE tenant = a_tenant AND name = a_name FOR UPDATE;
		IF FOUND AND (s.expires_at = 0 OR s.expires_at > a_now) THEN
			IF s.bytes + a_bytes > a_limit THEN
				RETURN;
			END IF;
			CONTINUE; -- it began meanwhile
		END IF;
		DELETE FROM mnemo.sessions WHERE id = s.id;
		INSERT INTO mnemo.sessions (tenant, name, seq, instructed, turns, messages, groups, tokens, bytes,
			input, cached_input, output, cost, unpriced, created_at, updated_at, expires_at)
		VALUES (a_tenant, a_name, 1, 1, 1, a_messages, a_groups, a_tokens, a_bytes,
			a_input, a_cached, a_output, a_cost, a_unpriced, a_at, a_at, a_expires)
		ON CONFLICT DO NOTHING RETURNING * INTO s;
		IF FOUND THEN
			began := true;
			INSERT INTO mnemo.details (session, title, folded, system, persona) VALUES (s.id, a_title, a_folded, a_system, a_persona);
			EXIT;
		END IF;
	END LOOP;

	IF a_first < 1 OR a_last < a_first OR a_last >= s.seq THEN
		a_first := 0;
		a_turn := coalesce(a_plain, a_turn);
	ELSE
		WITH superseded AS (
			UPDATE mnemo.turns SET superseded_by = s.seq
			WHERE session = s.id AND seq >= a_first AND superseded_by = 0 AND (seq <= a_last OR supersedes >= a_first)
			RETURNING seq, messages, groups, tokens
		), unlinked AS (
			DELETE FROM mnemo.links USING superseded WHERE links.session = s.id AND links.seq = superseded.seq
		)
		SELECT count(*) AS turns, coalesce(sum(messages), 0) AS messages, coalesce(sum(groups), 0) AS groups,
			coalesce(sum(tokens), 0) AS tokens, min(seq) AS first
		INTO gone FROM superseded;
		IF gone.first <= s.summed_up_to THEN
			UPDATE mnemo.details SET summary = NULL WHERE session = s.id;
			s.summaries := s.summaries + 1;
			s.summed_up_to := 0;
		END IF;
		UPDATE mnemo.sessions SET
			branch = s.seq, turns = turns - gone.turns, messages = messages - gone.messages, groups = groups - gone.groups,
			tokens = tokens - gone.tokens, summaries = s.summaries, summed_up_to = s.summed_up_to
		WHERE id = s.id RETURNING * INTO s;
	END IF;

	INSERT INTO mnemo.turns VALUES (s.id, s.seq, 0, a_first, a_messages, a_groups, a_tokens, a_id, a_turn);
	INSERT INTO mnemo.links SELECT s.id, link, s.seq FROM unnest(a_links) AS link ON CONFLICT DO NOTHING;
	IF NOT began THEN
		UPDATE mnemo.details SET
			system = CASE WHEN a_system = '' THEN system ELSE a_system END,
			persona = CASE WHEN a_persona = '' THEN persona ELSE a_persona END,
			title = CASE WHEN title = '' THEN a_title ELSE title END,
			folded = CASE WHEN title = '' THEN a_folded ELSE folded END
		WHERE session = s.id AND (a_system NOT IN ('', system) OR a_persona NOT IN ('', persona) OR title = '' AND a_title <> '');
		IF FOUND THEN
			UPDATE mnemo.sessions SET instructed = s.seq WHERE id = s.id;
		END IF;
	END IF;
	life := s.id; branch := s.branch; summaries := s.summaries; seq := s.seq;
	turns := s.turns; messages := s.messages; groups := s.groups; tokens := s.tokens; bytes := s.bytes;
END
$body$;
