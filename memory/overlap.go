package memory

// Private

// overlap is the greatest k for which the last k messages of the history equal
// the first k of the request: what a client that resends its history sent again.
// It takes linear time (Knuth, Morris and Pratt): a chat of equal messages is
// cheap to send and must be cheap to match.
func overlap(h history, request []Message) int {
	if len(h) == 0 {
		return 0
	}
	// Only a prefix that ends like the history can match.
	n, end := len(request), h[len(h)-1].message.Hash
	for n > 0 && request[n-1].Hash != end {
		n--
	}
	if n == 0 {
		return 0
	}
	request = request[:n]
	if len(h) > n {
		h = h[len(h)-n:]
	}
	k := 0
	borders := bordersOf(request, make([]int32, 0, 64))
	for i := range h {
		hash := h[i].message.Hash
		for k > 0 && request[k].Hash != hash {
			k = int(borders[k-1])
		}
		if request[k].Hash == hash {
			k++
		}
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
