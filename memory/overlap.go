package memory

// Private

// overlap is the greatest k for which the last k messages of the turns equal the
// first k of the request: what a client that resends its history sent again. It
// takes linear time (Knuth, Morris and Pratt): a chat of equal messages is cheap to
// send and must be cheap to match.
func overlap(turns []Turn, request []Message) int {
	for len(turns) > 0 && len(turns[len(turns)-1].Messages) == 0 {
		turns = turns[:len(turns)-1]
	}
	if len(turns) == 0 {
		return 0
	}
	last := turns[len(turns)-1].Messages
	// Only a prefix that ends like the history can match.
	n, end := len(request), last[len(last)-1].Hash
	for n > 0 && request[n-1].Hash != end {
		n--
	}
	if n == 0 {
		return 0
	}
	request = request[:n]
	first, held := len(turns), 0
	for first > 0 && held < n {
		first--
		held += len(turns[first].Messages)
	}
	k, skip := 0, max(0, held-n)
	borders := bordersOf(request, make([]int32, 0, 64))
	for i := first; i < len(turns); i++ {
		messages := turns[i].Messages
		for j := skip; j < len(messages); j++ {
			hash := messages[j].Hash
			for k > 0 && request[k].Hash != hash {
				k = int(borders[k-1])
			}
			if request[k].Hash == hash {
				k++
			}
		}
		skip = 0
	}
	return k
}

// bordersOf is, for each prefix, the length of its longest proper prefix that is
// also its suffix.
func bordersOf(messages []Message, borders []int32) []int32 {
	borders = append(borders, 0)
	k := int32(0)
	for i := 1; i < len(messages); i++ {
		for k > 0 && messages[k].Hash != messages[i].Hash {
			k = borders[k-1]
		}
		if messages[k].Hash == messages[i].Hash {
			k++
		}
		borders = append(borders, k)
	}
	return borders
}
