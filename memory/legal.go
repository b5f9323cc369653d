package memory

// Private

// leaveOut marks what no upstream accepts: an assistant's calls that were not all
// answered right after them, with the answers they got, and answers to no such
// call. Calls at the end of the history stay if the new messages answer them, or
// if the request ends with them itself (resent, nothing new). Ids are matched
// within a step only: models use them again.
func (h history) leaveOut(fresh []Message, resent bool) {
	for i := 0; i < len(h); i++ {
		switch h[i].kind {
		case result:
			h[i].out = true
		case calling:
			end := i + 1
			for end < len(h) && h[end].kind == result {
				end++
			}
			pending := end == len(h) && (answers(fresh, h[i].message.Calls) || resent && len(fresh) == 0)
			if !h[i:end].answered() && !pending {
				for j := i; j < end; j++ {
					h[j].out = true
				}
			}
			i = end - 1
		}
	}
}

// answered reports whether a step, calls and the results after them, is whole. It
// marks results that answer none of the calls.
func (h history) answered() bool {
	calls, results := h[0].message.Calls, h[1:]
	if inOrder(calls, results) {
		return true
	}
	open := make(map[string]bool, len(calls))
	for _, id := range calls {
		open[id] = true
	}
	for i := range results {
		id := results[i].message.CallID
		if _, known := open[id]; known {
			open[id] = false
		} else {
			results[i].out = true
		}
	}
	for _, id := range calls {
		if open[id] {
			return false
		}
	}
	return true
}

func inOrder(calls []string, results history) bool {
	if len(calls) != len(results) {
		return false
	}
	for i, id := range calls {
		if results[i].message.CallID != id {
			return false
		}
	}
	return true
}

// answers reports whether the messages begin with results of which one or more
// answer one of the calls.
func answers(messages []Message, calls []string) bool {
	var given map[string]struct{}
	for i := range messages {
		if messages[i].Role != RoleTool {
			break
		}
		if messages[i].CallID == calls[0] {
			return true
		}
		if given == nil {
			given = make(map[string]struct{}, len(calls))
			for _, id := range calls {
				given[id] = struct{}{}
			}
		}
		if _, ok := given[messages[i].CallID]; ok {
			return true
		}
	}
	return false
}
