package proxy

// peerClosed does not know on Windows: a client that left is noticed by the next
// write to it.
func peerClosed(uintptr) bool { return false }
